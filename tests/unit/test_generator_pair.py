"""Two generators as one: who does what, whose counts are believed, and what ends with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.generators.pair import Pair
from pytest_nfv.generators.protocol import Progress
from pytest_nfv.model.offer import FlowOffer, Offer, PortSpec, Report
from pytest_nfv.model.trial import Direction, FlowCounts, GeneratorHealth, Latency

PORTS = tuple(PortSpec("loopback", f"02:00:00:00:00:0{port}") for port in range(4))


class Fake:
    """A half that notes what it is asked, and reports what it is given."""

    version = "9"

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.ports: tuple[PortSpec, ...] = ()
        self.got: list[Offer] = []
        self.report = Report((), (), 0.0, 0.0, GeneratorHealth())
        self.fails: BaseException | None = None

    def pid(self) -> int:
        return {"sender": 11, "receiver": 22}[self.name]

    def open(self, ports: Sequence[PortSpec]) -> None:
        self.log.append(f"{self.name} open")
        self.ports = tuple(ports)

    def learn(self) -> None:
        self.log.append(f"{self.name} learn")

    def offer(self, offer: Offer, progress: Progress | None = None) -> Report:
        self.log.append(f"{self.name} {offer.role}")
        self.got.append(offer)
        if progress is not None:
            progress(0.5, 100, 0)
        if self.fails is not None:
            raise self.fails
        return self.report

    def listen(self, offer: Offer) -> None:
        self.log.append(f"{self.name} {offer.role}")
        self.got.append(offer)

    def heard(self) -> int:
        return 90

    def floor(self, offer: Offer) -> tuple[Latency, ...]:
        raise NotImplementedError

    def finish(self) -> Report:
        self.log.append(f"{self.name} finish")
        return self.report

    def abort(self) -> None:
        self.log.append(f"{self.name} abort")

    def close(self) -> None:
        self.log.append(f"{self.name} close")
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def halves(log: list[str]) -> tuple[Fake, Fake]:
    return Fake("sender", log), Fake("receiver", log)


@pytest.fixture
def pair(halves: tuple[Fake, Fake]) -> Pair:
    return Pair(*halves, sends_on=(0, 2), receives_on=(3, 1))


def offer(*ways: Direction) -> Offer:
    return Offer(tuple(FlowOffer(number, way, 1e6, 1000, "00" * 60) for number, way in enumerate(ways)))


def counts(way: Direction, sent: int = 0, received: int = 0, **more: int) -> FlowCounts:
    return FlowCounts(way, 1000, sent, received, **more)


def test_each_half_has_its_own_ports_and_sees_its_own_numbers(pair: Pair, halves: tuple[Fake, Fake]) -> None:
    sender, receiver = halves
    pair.open(PORTS)
    assert sender.ports == (PORTS[0], PORTS[2])
    assert receiver.ports == (PORTS[3], PORTS[1])
    ways = (Direction(2, 3), Direction(0, 1))
    sender.report = Report((counts(ways[0], 7), counts(ways[1], 8)), (0, 0), 1.0, 0.0, GeneratorHealth())
    receiver.report = Report((counts(ways[0]), counts(ways[1])), (0, 0), 0.0, 0.0, GeneratorHealth())
    pair.offer(offer(*ways))
    assert [flow.direction.tx for flow in sender.got[0].flows] == [1, 0]
    assert [flow.direction.rx for flow in receiver.got[0].flows] == [0, 1]


def test_the_receiver_listens_before_anything_is_sent_and_finishes_after(
    pair: Pair, halves: tuple[Fake, Fake], log: list[str]
) -> None:
    way = Direction(0, 1)
    for half in halves:
        half.report = Report((counts(way),), (0,), 1.0, 0.0, GeneratorHealth())
    told: list[tuple[float, int, int]] = []
    pair.offer(offer(way), lambda *progress: told.append(progress))
    assert log == ["receiver receive", "sender send", "receiver finish"]
    assert told == [(0.5, 100, 90)]


def test_the_report_has_what_one_sent_and_the_other_received(pair: Pair, halves: tuple[Fake, Fake]) -> None:
    sender, receiver = halves
    way, own = Direction(2, 1), Direction(2, 1)
    sender.report = Report(
        (counts(Direction(1, 1), sent=900),),
        (5,),
        0.9,
        0.0,
        GeneratorHealth(longest_stall_s=9.0, cpu_s=1.0, involuntary_switches=1),
        trouble=("short",),
    )
    receiver.report = Report(
        (counts(own, received=880, duplicated=1, reordered=2, corrupted=3, foreign=4),),
        (0,),
        0.0,
        0.01,
        GeneratorHealth(0.002, 0.004, receive_overruns=12, cpu_s=0.5, involuntary_switches=2),
        latency=(Latency(own, 880, 1.0, 2.0, 3.0, {50.0: 2.0}),),
        trouble=("unsettled",),
    )
    report = pair.offer(offer(way))
    assert report.flows == (counts(way, 900, 880, duplicated=1, reordered=2, corrupted=3, foreign=4),)
    assert report.refused == (5,)
    assert (report.offered_for_s, report.settle_s) == (0.9, 0.01)
    assert report.health == GeneratorHealth(0.002, 0.004, 12, 1.5, 3)
    assert [one.direction for one in report.latency] == [way]
    assert report.trouble == ("short", "unsettled")


@pytest.mark.parametrize("error", [GeneratorError("died"), KeyboardInterrupt()])
def test_what_ends_the_sender_ends_the_receiver(
    pair: Pair, halves: tuple[Fake, Fake], log: list[str], error: BaseException
) -> None:
    halves[0].fails = error
    with pytest.raises(type(error)):
        pair.offer(offer(Direction(0, 1)))
    assert log[-1] == "receiver abort"


@pytest.mark.parametrize(
    ("maximum", "catching_up", "said"),
    [
        (False, (0, 0, 50), True),
        (False, (0, 0, 49), False),
        (False, (40, 0, 50), False),  # refused on schedule: the device's own
        (False, (40, 40, 50), True),
        (True, (0, 0, 50), False),
    ],
)
def test_a_loss_that_the_senders_catching_up_explains_is_told(
    pair: Pair, halves: tuple[Fake, Fake], maximum: bool, catching_up: tuple[int, int, int], said: bool
) -> None:
    way = Direction(0, 1)
    sent = Report((counts(way, 1000),), (0,), 1.0, 0.0, GeneratorHealth(), catching_up=(catching_up,))
    halves[0].report = sent
    halves[1].report = Report((counts(way, 0, 950),), (0,), 0.0, 0.0, GeneratorHealth())
    report = pair.offer(replace(offer(way), maximum=maximum))
    assert any("the 50 frames lost may be the generator's own doing" in line for line in report.trouble) is said


def test_two_processes_have_no_floor(pair: Pair) -> None:
    assert pair.floor(offer(Direction(0, 1))) == ()


def test_a_flow_that_neither_half_has_is_named(pair: Pair, log: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"direction 1>0: accepted: out of port 0, 2, into port 3, 1"):
        pair.offer(offer(Direction(1, 0)))
    assert log == []


def test_both_are_closed_whatever_the_first_does(pair: Pair, halves: tuple[Fake, Fake], log: list[str]) -> None:
    halves[0].fails = GeneratorError("stuck")
    with pytest.raises(GeneratorError, match="stuck"):
        pair.close()
    assert log == ["sender close", "receiver close"]


def test_it_is_known_by_both(pair: Pair, log: list[str]) -> None:
    pair.learn()
    assert sorted(log) == ["receiver learn", "sender learn"]
    assert (pair.version, pair.pid(), pair.pids()) == ("9", 11, (11, 22))
