"""The forwarding rate at maximum offered load: the procedure, the value, and what makes no trial invalid there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.l2 import Ether

from pytest_nfv import P2P, Mpps, PacketRate, Reference, SocketPair, VSwitch, kpps
from pytest_nfv.deployment.hops import waterfall
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.planning import Planner
from pytest_nfv.deployment.runner import Load
from pytest_nfv.deployment.system import SimulatedSystem
from pytest_nfv.deployment.traffic import Defaults, Result, Traffic
from pytest_nfv.deployment.validity import reasons_invalid
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import ConfigurationError, InvalidMeasurement, UnitError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import ForwardingRate, Subject, Throughput
from pytest_nfv.model.offer import Report
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import Direction, FlowCounts, GeneratorHealth, TrialResult, TrialSpec
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.search.frmol import forwarding_rate, trials_of
from pytest_nfv.search.sim import SimulatedDevice
from pytest_nfv.vswitches.protocol import PortCounters

GOAL = SearchGoal(trial_duration_s=0.1, duration_sum_s=0.5)
WAY = Direction(0, 1)
PAIR = SocketPair(VSwitch("linux-bridge"), "udp", "single")


class Ignored:
    """An observer that wants to know nothing."""

    def deploying(self, what: str) -> None: ...

    def trial_started(self, spec: TrialSpec) -> None: ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...

    def trial_done(self, result: TrialResult) -> None: ...


def simulated(text: str, topology: Topology = PAIR, measured: list[Result] | None = None) -> Traffic:
    testbed = built_in()["sim"].with_simulation(Simulation.parse(text))
    kept: list[Result] = [] if measured is None else measured
    return Traffic(
        SimulatedSystem(testbed, topology), Defaults(retry_invalid=3, goal=GOAL), Ignored(), kept.append
    )


class Script:
    """A measurer that forwards what it is told; a negative rate is of an invalid trial."""

    def __init__(self, *rates_pps: float) -> None:
        self._rates = list(rates_pps)

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        rate = self._rates.pop(0)
        flow = FlowCounts(WAY, round(rate_pps * duration_s), 10**6, round(abs(rate) * duration_s))
        spec = TrialSpec(64, rate_pps, duration_s)
        return TrialResult(spec, (flow,), duration_s, invalid=("no",) if rate < 0 else ())


@pytest.mark.parametrize(
    ("duration", "whole", "count"), [(1.0, 3.0, 3), (0.1, 0.3, 3), (1.0, 1.0, 1), (2.0, 5.0, 2)]
)
def test_trials_are_as_many_as_the_durations_hold(duration: float, whole: float, count: int) -> None:
    assert trials_of(SearchGoal(trial_duration_s=duration, duration_sum_s=whole)) == count


def test_the_median_of_the_valid_trials_is_taken() -> None:
    ruling, rate, trials = forwarding_rate(Script(5e5, -1, 3e5, -1, 4e5, 9e5, 1e5), 1e6, GOAL, 2)
    assert ruling is None
    assert rate == pytest.approx(4e5)
    assert len(trials) == 7


def test_trials_that_stay_invalid_are_a_ruling() -> None:
    ruling, rate, trials = forwarding_rate(Script(5e5, -1, -1), 1e6, GOAL, 1)
    assert ruling is not None
    assert ruling.verdict is Verdict.INVALID
    assert rate == pytest.approx(5e5)
    assert len(trials) == 3


def test_a_generator_below_the_load_is_no_reason_to_doubt_it() -> None:
    device = Simulation.parse("capacity=400kpps,generator=600kpps")
    (strict, most) = (SimulatedDevice(device, 64, maximum=maximum).measure(1e6, 0.1) for maximum in (False, True))
    assert not strict.valid
    assert most.valid
    assert most.offered_pps == pytest.approx(6e5)
    assert most.forwarded_pps == pytest.approx(4e5)


def test_traffic_offers_all_it_can_and_says_what_was_offered() -> None:
    measured: list[Result] = []
    reference = Reference("a paper", 3e5)
    traffic = simulated("capacity=400kpps,generator=600kpps", measured=measured)
    found = traffic.forwarding_rate(1 * Mpps, frame_size=64, burst=64).beside([reference])
    assert measured == [found]
    assert found.rate.pps == pytest.approx(4e5)
    assert found.offered.pps == 1e6
    assert found.offered_pps == pytest.approx(6e5)
    assert found.loss_ratio == pytest.approx(1 / 3, rel=1e-3)
    assert found.references == [reference]
    assert len(found.trials) == 5
    assert found > 399 * kpps
    assert found < 401 * kpps


def test_a_duration_is_a_trials_and_keeps_their_number() -> None:
    found = simulated("capacity=400kpps").forwarding_rate("1Mpps", frame_size=64, duration="20ms")
    assert [trial.spec.duration_s for trial in found.trials] == [0.02] * 5


def test_it_works_at_any_topology_both_ways() -> None:
    both = P2P(VSwitch("linux-bridge"), bidirectional=True)
    found = simulated("capacity=400kpps", both).forwarding_rate("1Mpps", frame_size=64)
    assert found.rate.pps == pytest.approx(2e5)


def test_rates_compare_with_rates_only() -> None:
    subject = Subject("sim", "x", "y", "10GbE", 64)
    rate = PacketRate(4e5)
    found = ForwardingRate(subject, GOAL, PacketRate(1e6), rate, ())
    assert found == rate
    assert found >= rate
    assert not found < rate
    assert found.asked_pps == [4e5]
    assert (found.offered_pps, found.loss_ratio) == (0.0, 0.0)
    assert hash(found) == hash(replace(found))
    assert repr(found) == "<forwarding rate of x: 400 kpps of 1 Mpps>"
    for other in (4e5, Throughput(subject, GOAL, "rfc2544", rate, 4e5, None, ())):
        with pytest.raises(UnitError, match="accepted: a packet rate"):
            _ = found < other


def test_wrong_arguments_are_named() -> None:
    traffic = simulated("capacity=400kpps")
    with pytest.raises(ConfigurationError, match=r"forwarding_rate\(rate=0\): accepted: a packet rate above 0"):
        traffic.forwarding_rate("0pps", frame_size=64)
    with pytest.raises(ConfigurationError, match=r"the kernel makes the headers .* SocketPair\(protocol='raw'\)"):
        traffic.forwarding_rate("1Mpps", frame_size=64, frame=Ether())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocol": "tcp"}, r"SocketPair\(protocol='tcp'\): accepted: udp, raw"),
        ({"call": "few"}, r"SocketPair\(call='few'\): accepted: single, many"),
        ({"vswitch": 7}, r"SocketPair\(7\): accepted: a VSwitch"),
    ],
)
def test_a_pair_says_what_it_takes(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SocketPair(**{"vswitch": "linux-bridge", **arguments})  # type: ignore[arg-type]  # that is the point


def test_a_pair_says_what_it_is() -> None:
    assert str(PAIR) == "1vs1(linux-bridge, udp sockets, send/recv)"
    assert str(SocketPair(VSwitch("b"), "raw", "many")) == "1vs1(b, raw sockets, sendmmsg/recvmmsg)"
    assert (PAIR.kernel_octets, SocketPair(VSwitch("b"), "raw").kernel_octets) == (42, 0)
    assert (PAIR.directions, PAIR.generator_ports) == ((WAY,), 2)
    assert SocketPair("linux-bridge", call="single") == PAIR  # type: ignore[arg-type]  # a name is taken too


def test_frames_of_udp_sockets_are_payload_only() -> None:
    class Kept(SimulatedSystem):
        loads: list[Load] = []  # noqa: RUF012  # of this test alone

        def measurer(self, load: Load, observer: object) -> SimulatedDevice:
            self.loads.append(load)
            return SimulatedDevice(Simulation(), load.frame_size)

    for topology, octets in ((PAIR, 18), (replace(PAIR, protocol="raw"), 60)):
        traffic = Traffic(
            Kept(built_in()["sim"], topology), Defaults(retry_invalid=3, goal=GOAL), Ignored(), lambda _: None
        )
        traffic.forwarding_rate("1Mpps", frame_size=64, burst=64)
        load = Kept.loads[-1]
        assert [len(bytes.fromhex(template)) for _, template in load.templates] == [octets]
        assert (load.frame_size, load.burst, load.maximum) == (64, 64, True)


def test_a_plan_says_who_shares_a_core_and_counts_the_trials() -> None:
    lines = place(PAIR, built_in()["local"], [0, 1]).lines()
    assert lines[1:] == ["  sender and linux-bridge share core 1; receiver polls on core 0"]
    planner = Planner()
    cost = planner.test("t")
    traffic = planner.traffic(cost, built_in()["sim"], PAIR, Defaults(retry_invalid=3, goal=GOAL))
    assert traffic.forwarding_rate(1 * Mpps, frame_size=64).rate.pps == pytest.approx(1e6)
    assert cost.trials_s == [0.1] * 5


def report(sent: int, received: int, overruns: int = 0) -> Report:
    health = GeneratorHealth(receive_overruns=overruns)
    return Report((FlowCounts(WAY, 1000, sent, received),), (0,), 1.0, 0.0, health)


def test_loss_at_maximum_load_needs_no_explanation() -> None:
    assert len(reasons_invalid(report(1000, 990), (), 0.5)) == 1
    assert reasons_invalid(report(1000, 990), (), 0.5, maximum=True) == ()
    told = replace(report(1000, 990), trouble=("the clock was set",))
    assert reasons_invalid(told, (), 0.5, maximum=True) == ("the clock was set",)


def test_what_a_measured_receiver_had_no_room_for_is_a_drop_of_its_own() -> None:
    zero, after = ([PortCounters(port, f"s{port}", n, n) for port in (0, 1)] for n in (0, 1000))
    hops = waterfall(
        report(1000, 900, 100), (zero, {}), (after, {}), Chains(P2P(VSwitch("any"))), applications=True
    )
    assert (hops[-1].frames, hops[-1].drops) == (900, {"socket buffer full": 100})
    assert waterfall(report(1000, 900, 100), (zero, {}), (after, {}), Chains(P2P(VSwitch("any"))))[-1].drops == {}


def test_an_invalid_forwarding_rate_is_raised_and_kept() -> None:
    class Broken(SimulatedSystem):
        def measurer(self, load: Load, observer: object) -> Script:
            return Script(*[-1.0] * 10)

    measured: list[Result] = []
    traffic = Traffic(
        Broken(built_in()["sim"], PAIR), Defaults(retry_invalid=3, goal=GOAL), Ignored(), measured.append
    )
    with pytest.raises(InvalidMeasurement, match="nothing was learnt"):
        traffic.forwarding_rate("1Mpps", frame_size=64)
    assert len(measured) == 1
