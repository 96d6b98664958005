"""The generator process and its driver, over wires of memory: no privilege and no network needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

import pytest

from pytest_nfv import __version__
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, GeneratorError
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.generators.table import driver
from pytest_nfv.hosts.protocol import Completed
from pytest_nfv.model.offer import FlowOffer, Offer, PortSpec, Report
from pytest_nfv.model.trial import Direction, FlowCounts

ADDRESSES = ("02:00:00:00:00:01", "02:00:00:00:00:02")
WIRE = tuple(PortSpec("loopback", address) for address in ADDRESSES)
TEMPLATE = (bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5]) + bytes(46)).hex()
WAY = Direction(0, 1)
ENDLESS = Offer((FlowOffer(0, WAY, 1000.0, 10**7, TEMPLATE),))


class Child:
    """A process as `hosts.protocol.Process` has it."""

    def __init__(self, argv: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(list(argv), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.stdin: IO[str] = self.popen.stdin
        self.stdout: IO[str] = self.popen.stdout
        self.errors = ""

    @property
    def pid(self) -> int:
        return self.popen.pid

    def poll(self) -> int | None:
        return self.popen.poll()

    def stop(self, timeout_s: float = 2.0) -> int:
        with suppress(BrokenPipeError):
            self.stdin.close()
        try:
            status = self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            status = self.popen.wait()
        self.stderr_tail()
        self.stdout.close()
        return status

    def stderr_tail(self) -> str:
        assert self.popen.stderr is not None
        if not self.popen.stderr.closed and self.poll() is not None:
            self.errors = self.popen.stderr.read()
            self.popen.stderr.close()
        return self.errors


class Here:
    """A host that can only start processes."""

    name = "here"

    def __init__(self, argv: Sequence[str] = ()) -> None:
        self.argv = argv
        self.started: list[tuple[Child, tuple[int, ...]]] = []

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Child:
        child = Child(self.argv or argv)
        self.started.append((child, tuple(cores)))
        return child

    def run(self, argv: Sequence[str], **rest: Any) -> Completed:
        raise NotImplementedError

    def read_text(self, path: str) -> str:
        raise NotImplementedError

    def write_text(self, path: str, text: str) -> None:
        raise NotImplementedError


@pytest.fixture
def host() -> Iterator[Here]:
    here = Here()
    yield here
    for child, _ in here.started:
        child.stop(0.5)


@pytest.fixture
def generator(host: Here) -> Iterator[Builtin]:
    generator = Builtin(host, None)
    generator.open(WIRE)
    yield generator
    generator.close()


def assert_all_came_back(report: Report) -> None:
    (counts,) = report.flows
    assert counts == FlowCounts(WAY, counts.intended, counts.sent, counts.sent)
    assert counts.sent > 0


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def test_a_trial_reports_what_came_back(generator: Builtin, host: Here) -> None:
    seen: list[tuple[float, int, int]] = []
    generator.learn()
    offer = Offer((FlowOffer(0, WAY, 10_000.0, 10_000, TEMPLATE),))
    report = generator.offer(offer, lambda *values: seen.append(values))
    (counts,) = report.flows
    assert counts == FlowCounts(WAY, 10_000, counts.sent, counts.sent)
    assert counts.sent == 10_000 or "were not sent" in report.trouble[0]  # the machine may be busy
    assert report.health.cpu_s > 0
    assert len(seen) >= 2
    assert [sent for _, sent, _ in seen] == sorted(sent for _, sent, _ in seen)
    assert (generator.version, generator.pid()) == (__version__, host.started[0][0].pid)


def test_the_core_is_asked_of_the_host(host: Here) -> None:
    generator = Builtin(host, 0)
    generator.open(WIRE)
    generator.close()
    assert host.started[0][1] == (0,)
    assert host.started[0][0].poll() == 0
    generator.close()


def test_errors_keep_their_branch_and_the_process_goes_on(generator: Builtin) -> None:
    with pytest.raises(ConfigurationError, match=r"generator on here: port kind 'no': accepted: af_packet,"):
        generator.open([PortSpec("no", ADDRESSES[0])])
    with pytest.raises(GeneratorError, match="generator on here: no port is open yet"):
        generator.learn()
    generator.open(WIRE)
    bad = Offer((FlowOffer(0, Direction(0, 9), 1000.0, 10, TEMPLATE),))
    with pytest.raises(ConfigurationError, match="direction 0>9: 2 ports are open"):
        generator.offer(bad)
    good = Offer((FlowOffer(0, WAY, 1000.0, 10, TEMPLATE),))
    assert_all_came_back(generator.offer(good))


@pytest.mark.parametrize("process", ["trafgen", "nfproc"])
def test_it_takes_its_share_of_the_core_before_it_imports_anything_large(process: str) -> None:
    said = f"import sys, pytest_nfv.{process}.__main__; print('numpy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )


LACKING = """
import pytest_nfv.trafgen.service as process
from pytest_nfv.errors import CapabilityMissing

def open_ports(specs):
    raise CapabilityMissing("af_xdp", "bpf(2) is not permitted", "run as root")

process.open_ports = open_ports
process.main()
"""


def test_a_missing_capability_arrives_as_one_and_says_what_to_do() -> None:
    generator = Builtin(Here([sys.executable, "-c", LACKING]), None)
    with pytest.raises(CapabilityMissing) as caught:
        generator.open(WIRE)
    generator.close()
    assert (caught.value.capability, caught.value.remedy) == ("af_xdp", "run as root")
    assert caught.value.missing == "traffic generator on here: bpf(2) is not permitted"


@pytest.mark.parametrize("missing", [None, "all", ["af_xdp"]])
def test_a_missing_capability_without_its_parts_is_a_generators_error(missing: object) -> None:
    answer = {"event": "error", "kind": "capability", "message": "no bpf(2)", "missing": missing}
    host = Here([sys.executable, "-c", f"print({json.dumps(json.dumps(answer))}); input()"])
    generator = Builtin(host, None)
    with pytest.raises(GeneratorError, match="on here: no bpf"):
        generator.open(WIRE)
    generator.close()


def test_the_floor_is_the_same_work_without_the_ports(generator: Builtin) -> None:
    there, back = Direction(0, 1), Direction(1, 0)
    both = (FlowOffer(0, there, 5_000.0, 500, TEMPLATE), FlowOffer(1, back, 5_000.0, 500, TEMPLATE))
    latency = generator.floor(Offer(both))
    assert [one.direction for one in latency] == [there, back]
    assert all(0 < one.min_ns <= one.percentiles_ns[50.0] <= one.max_ns for one in latency)
    round_trip = generator.floor(Offer((FlowOffer(0, Direction(0, 0), 5_000.0, 500, TEMPLATE),)))
    assert [one.way for one in round_trip] == ["round trip"]
    assert_all_came_back(generator.offer(Offer((FlowOffer(0, there, 1_000.0, 50, TEMPLATE),))))


def test_a_floor_of_what_cannot_be_offered_is_refused(generator: Builtin) -> None:
    with pytest.raises(ConfigurationError, match="direction 0>9: 2 ports are open"):
        generator.floor(Offer((FlowOffer(0, Direction(0, 9), 1000.0, 10, TEMPLATE),)))


@pytest.mark.parametrize("reason", [KeyboardInterrupt, GeneratorError, ZeroDivisionError])
def test_interrupted_in_mid_trial_it_stops_offering_and_can_go_on(
    generator: Builtin, reason: type[BaseException]
) -> None:
    def interrupt(elapsed_s: float, sent: int, received: int) -> None:
        raise reason

    with pytest.raises(reason):
        generator.offer(ENDLESS, interrupt)
    again = Offer((FlowOffer(0, WAY, 1000.0, 50, TEMPLATE),))
    assert_all_came_back(generator.offer(again))


def test_killed_in_mid_trial_it_is_a_generator_error(generator: Builtin, host: Here) -> None:
    with pytest.raises(GeneratorError, match="on here: it ended; exit status -9"):
        generator.offer(ENDLESS, lambda *_: os.kill(generator.pid(), signal.SIGKILL))
    with pytest.raises(GeneratorError, match="it is not open"):
        generator.learn()


def test_a_generator_that_cannot_start_is_quoted() -> None:
    host = Here([sys.executable, "-c", "import sys; sys.exit('no numpy here')"])
    with pytest.raises(GeneratorError, match=r"exit status 1\nno numpy here"):
        Builtin(host, None).open(WIRE)


def test_a_generator_that_talks_nonsense_is_quoted() -> None:
    host = Here([sys.executable, "-c", "print('hello'); input()"])
    with pytest.raises(GeneratorError, match="'hello', which is not JSON"):
        Builtin(host, None).open(WIRE)


def test_unknown_generators_list_the_known() -> None:
    assert driver("builtin") is Builtin
    with pytest.raises(ConfigurationError, match="generator 'trex': accepted: builtin"):
        driver("trex")


@pytest.fixture
def raw() -> Iterator[Child]:
    child = Child([sys.executable, "-m", "pytest_nfv.trafgen"])
    assert json.loads(child.stdout.readline())["event"] == "ready"
    yield child
    child.stop(0.5)


def ask(child: Child, line: str) -> dict[str, Any]:
    tell(child, line)
    return next_event(child)


def tell(child: Child, line: str) -> None:
    child.stdin.write(line + "\n")
    child.stdin.flush()


def next_event(child: Child) -> dict[str, Any]:
    event: dict[str, Any] = {"event": "progress"}
    while event["event"] == "progress":
        event = json.loads(child.stdout.readline())
    return event


def begin_endless(child: Child) -> None:
    ports = [{"kind": "loopback", "address": address} for address in ADDRESSES]
    assert ask(child, json.dumps({"op": "open", "ports": ports})) == {"event": "opened", "ports": 2}
    tell(child, json.dumps({"op": "offer", "offer": ENDLESS.to_json()}))
    assert json.loads(child.stdout.readline())["event"] == "progress"


def test_garbage_is_answered_and_survived(raw: Child) -> None:
    answer = ask(raw, "garbage")
    assert (answer["event"], answer["kind"]) == ("error", "configuration")
    assert "request 'garbage' is not JSON" in answer["message"]
    assert ask(raw, '{"op": "close"}') == {"event": "closed"}
    assert raw.stop() == 0
    assert raw.stderr_tail() == ""


def test_abort_ends_a_running_trial_only(raw: Child) -> None:
    begin_endless(raw)
    assert ask(raw, '{"op": "abort"}') == {"event": "aborted"}
    assert ask(raw, '{"op": "abort"}') == {"event": "aborted"}
    assert ask(raw, '{"op": "close"}') == {"event": "closed"}


def test_another_request_in_mid_trial_ends_it_with_an_error(raw: Child) -> None:
    begin_endless(raw)
    assert "while a trial runs: accepted: abort" in ask(raw, '{"op": "learn"}')["message"]


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_with_whoever_started_it(raw: Child, busy: bool) -> None:
    if busy:
        begin_endless(raw)
    raw.stdin.close()
    assert within(5.0, lambda: raw.poll() == 0)
    assert raw.stderr_tail() == ""


def test_ctrl_c_is_left_to_the_parent(raw: Child) -> None:
    begin_endless(raw)
    os.kill(raw.pid, signal.SIGINT)
    assert ask(raw, '{"op": "abort"}') == {"event": "aborted"}
