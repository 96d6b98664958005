"""What the benchmarks make of their runs: medians, spread, disturbed runs, the plot."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import generator
from benchmarks.sampling import Row, Sample, in_turns, json_row, markdown_row, plain_row
from benchmarks.svg import Axis, plot
from benchmarks.windows import Moment, Window, busiest


def row(*ours: Sample, peer: float = 2.0) -> Row:
    return Row("tx", "Mpps", "txonly", ">= 1.0", ours, tuple(Sample(peer, 0.0, "the peer") for _ in ours))


def test_a_row_tells_medians_ratio_and_spread() -> None:
    told = json.loads(json_row(row(Sample(3.0, 0.0), Sample(1.0, 0.0), Sample(4.0, 0.0))))
    assert [told[key] for key in ("name", "ours", "peer", "ratio", "unit")] == ["tx", 3.0, 2.0, 1.5, "Mpps"]
    assert told["spread"] == {"ours": [1.0, 4.0], "peer": [2.0, 2.0]}


def test_disturbed_runs_stay_in_and_are_told_apart() -> None:
    one = row(Sample(1.0, 0.021), Sample(3.0, 0.02), Sample(5.0, 0.0))
    told = one.to_json()
    assert told["ours"] == 3.0
    assert told["disturbed"] == {"ours": [True, False, False], "peer": [False, False, False]}
    assert told["undisturbed"] == {"ours": 4.0, "peer": 2.0, "ratio": 2.0}
    assert "1 of 3 runs disturbed" in plain_row(one)
    assert "1 and 0 of 3; the others' ratio 2.00" in markdown_row(one)


def test_no_undisturbed_run_is_no_figure() -> None:
    told = row(Sample(1.0, 0.5)).to_json()
    assert told["undisturbed"] == {"ours": None, "peer": 2.0, "ratio": None}


def test_the_limit_of_most_runs_is_told_with_its_share() -> None:
    full = [Sample(1.0, 0.0, "the device", share) for share in (0.1, 0.3)]
    assert row(*full).to_json()["limit"]["ours"] == "the device (20% of the frames)"
    told = row(*full, Sample(1.0, 0.0, "the generator")).to_json()
    assert told["limit"] == {"ours": "the device (20% of the frames) in 2 of 3 runs", "peer": "the peer"}


def test_a_peer_of_nothing_gives_no_ratio() -> None:
    one = row(Sample(1.0, 0.0), peer=0.0)
    assert one.to_json()["ratio"] is None
    assert "| - |" in markdown_row(one)


def test_runs_are_taken_by_turns() -> None:
    order: list[str] = []

    def taken(name: str) -> Sample:
        order.append(name)
        return Sample(float(len(order)), 0.0)

    ours, peer = in_turns(2, lambda: taken("ours"), lambda: taken("peer"))
    assert order == ["ours", "peer", "ours", "peer"]
    assert [[one.figure for one in side] for side in (ours, peer)] == [[1.0, 3.0], [2.0, 4.0]]


def test_a_window_counts_frames_and_the_longest_wait() -> None:
    window = Window(Moment(1.0, (5, 7), {1: 0, 2: 10**9}), Moment(3.0, (15, 7), {1: 10**8, 2: 10**9}))
    assert (window.seconds, window.counts, window.waited) == (2.0, (10, 0), 0.05)


def test_the_busiest_thread_is_one_of_the_process() -> None:
    tid, cpu_ns = busiest(os.getpid())
    assert tid in {int(name) for name in os.listdir("/proc/self/task")}
    assert cpu_ns > 0


def test_an_axis_is_logarithmic() -> None:
    axis = Axis.around(10, [2.0, 300.0], 100.0, 400.0)
    assert axis.ticks() == [1, 10, 100, 1000]
    assert [axis.at(tick) for tick in axis.ticks()] == pytest.approx([100.0, 200.0, 300.0, 400.0])


def test_an_axis_of_one_value_has_a_length() -> None:
    axis = Axis.around(2, [8.0], 0.0, 1.0)
    assert axis.ticks() == [8, 16]


def test_a_plot_is_well_formed_and_has_a_line_a_series() -> None:
    root = ElementTree.fromstring(plot("a < b", "x", "y", {"one": [(1, 10), (2, 5)], "two & more": [(1, 3)]}))
    space = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points", "").split() for line in root.iter(f"{space}polyline")]
    assert [len(line) for line in lines] == [2, 1]
    texts = [text.text for text in root.iter(f"{space}text")]
    assert {"a < b", "one", "two & more"} <= set(texts)


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--allow-missing"], 0)])
def test_a_missing_peer_is_named_with_its_package(
    options: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert generator.main(["tx", "--runs", "1", "--cores", "0,1", *options]) == status
    told = capsys.readouterr()
    assert told.err == "tx: left out: dpdk-testpmd: it is not installed; apt-get install dpdk-dev\n"
    assert told.out == ""


@pytest.mark.parametrize(
    ("argv", "accepted"),
    [
        (["tx", "--cores", "1,1"], "accepted: two cores, the device's and the generator's: 0,1"),
        (["tx", "--seconds", "nan"], "accepted: seconds from 0.2 to 600"),
        (["tx", "--runs", "0"], "accepted: a whole number >= 1"),
    ],
)
def test_options_say_what_is_accepted(argv: list[str], accepted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generator.main(argv)
    assert accepted in capsys.readouterr().err
