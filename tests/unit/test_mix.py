"""Frame size mixes: exact proportions, the same cycle every time, and errors that say where."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.deployment.system import SimulatedSystem
from pytest_nfv.deployment.traffic import Defaults, Result, Traffic
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.mix import PERIOD, Mix, profiles, sizes_of
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.records import explain, summary
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.units import FrameSize, PacketRate, line_rate

EXAMPLE = Path(__file__).parents[2] / "fixtures/traffic/voice-and-bulk.toml"


class Silent:
    def deploying(self, what: str) -> None: ...

    def trial_started(self, spec: TrialSpec) -> None: ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...

    def trial_done(self, trial: TrialResult) -> None: ...


@pytest.fixture
def kept() -> list[Result]:
    return []


@pytest.fixture
def traffic(kept: list[Result]) -> Traffic:
    system = SimulatedSystem(built_in()["sim"], P2P(VSwitch("linux-bridge")))
    return Traffic(system, Defaults(), Silent(), kept.append)


@given(weights=st.dictionaries(st.integers(64, 1518), st.integers(1, 50), min_size=1, max_size=12))
def test_every_size_has_its_share_of_a_cycle(weights: dict[int, int]) -> None:
    mix = Mix.of(weights)
    counted = Counter(mix.sizes[place] for place in mix.cycle)
    assert len(mix.cycle) == PERIOD
    for size, weight in weights.items():
        assert abs(counted[size] - PERIOD * weight / sum(weights.values())) < 1
    assert mix.cycle == Mix.of(dict(weights)).cycle


def test_line_rate_of_a_mix_is_that_of_its_mean_frame() -> None:
    mix = Mix.of({64: 1, 128: 1})
    assert mix.mean_octets == 96
    assert line_rate("10GbE", mix) == line_rate("10GbE", 96)
    assert PacketRate(1e6).l1(mix).bps == 116 * 8e6
    assert line_rate("10GbE", mix).link_share == pytest.approx(1.0)


def test_profiles_are_what_they_say() -> None:
    assert profiles() == ("datacentre", "imix")
    assert dict(zip(Mix.of("imix").sizes, Mix.of("imix").weights, strict=True)) == {64: 7, 594: 4, 1518: 1}
    centre = Mix.of("datacentre")
    each = sorted(centre.sizes[place] for place in centre.cycle)
    assert each[PERIOD // 2] == 120
    assert sum(size < 256 for size in each) > 0.98 * PERIOD


def test_sizes_are_read_from_texts_and_files() -> None:
    assert sizes_of("64") == sizes_of(64) == FrameSize(64)
    assert sizes_of("imix") == sizes_of(Mix.of("imix")) == Mix.of("imix")
    assert sizes_of(EXAMPLE) == sizes_of(str(EXAMPLE)) == Mix("voice-and-bulk", (218, 70, 1518), (3, 1, 2))


WRONG = {
    "not TOML": ("[[frame]]\noctets = \n", r"not TOML: .*line 2"),
    "no frames": ('name = "x"\n', r"accepted: at least one table \[\[frame\]\]"),
    "a key": ("weights = 2\n[[frame]]\n", r"unknown key 'weights'; accepted: frame, name"),
    "a frame's key": ("[[frame]]\noctets=64\nweight=1\n[[frame]]\nsize=1\n", r"line 4: unknown key 'size'"),
    "a missing key": ("\n[[frame]]\noctets=64\n", r"line 2: weight is missing"),
    "too short": ("[[frame]]\noctets=63\nweight=1\n", r"line 1: frame size 63: accepted: 64 to"),
    "no weight": ("[[frame]]\noctets=64\nweight=0\n", r"line 1: weight 0 of 64 B: accepted: a number above 0"),
    "twice": ("[[frame]]\noctets=64\nweight=1\n" * 2, r"accepted: each size once"),
    "too rare": (
        "[[frame]]\noctets=64\nweight=9999\n[[frame]]\noctets=65\nweight=1\n",
        r"the weight of 65 B is too small",
    ),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(f"frame size mix {path}") + ".*" + why):
        Mix.of(path)


@pytest.mark.parametrize("name", ["imax", "64,128", ""])
def test_an_unknown_profile_lists_those_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"accepted: datacentre, imix, or the path of a \.toml file"):
        Mix.of(name)


def test_a_mix_above_the_mtu_is_refused(traffic: Traffic) -> None:
    with pytest.raises(ConfigurationError, match=r"frame size 1519 of mix 'big': .* accepted: 64 to 1518"):
        traffic.sustains("1kpps", frame_size=Mix("big", (64, 1519), (1, 1)))


def test_records_and_texts_show_the_mix(traffic: Traffic, kept: list[Result]) -> None:
    traffic.sustains(line_rate("10GbE", Mix.of("imix")), frame_size="imix", flows=1000)
    one = Measurement.from_result(kept[0])
    assert Measurement.of(one.to_json()) == one
    assert one.subject.mix == Mix.of("imix")
    assert one.subject.frame_size == 361
    assert one.target_pps == one.line_rate_pps
    assert "(10GbE line rate, imix (mean 361 B), 1,000 flows)" in explain.headline(one)
    assert summary.row("test_x", one).frame == "imix (mean 361 B), 1,000 flows"


def test_a_record_from_before_there_were_mixes_is_read(traffic: Traffic, kept: list[Result]) -> None:
    traffic.sustains("1Mpps", frame_size=64)
    one = Measurement.from_result(kept[0])
    before = one.to_json()
    del before["subject"]["mix"], before["subject"]["flows_count"]
    assert Measurement.of(before) == one == replace(one, subject=replace(one.subject, mix=None, flows=1))
