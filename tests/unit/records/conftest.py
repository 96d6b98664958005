"""Made measurements with the figures of a small machine: a Linux bridge between veth pairs, one core each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import Gate, LatencyResult, Subject, Throughput
from pytest_nfv.model.trial import (
    CoreUse,
    Direction,
    FlowCounts,
    GeneratorHealth,
    Hop,
    Latency,
    ThreadUse,
    TrialResult,
    TrialSpec,
)
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.schema import Entry, Environment, Record, Run
from pytest_nfv.units import PacketRate, line_rate

TAIL_S = 0.3
"""Accounts begin before the load and go on until the counters are at rest: longer than frames are offered."""

WAY = Direction(0, 1)
BACK = Direction(1, 0)


@dataclass(frozen=True)
class Machine:
    """What a made trial shows of the machine; shares of the trial's duration."""

    device_busy: float = 1.0
    generator_busy: float = 0.9
    steal: float = 0.0
    thread_busy: float = 1.0
    run_delay: float = 0.0


class Samples:
    """Builds trials, measurements and records."""

    goal = SearchGoal()

    def subject(self, frame_size: int, *, simulated: bool = False, notes: tuple[str, ...] = ()) -> Subject:
        return Subject("local", "P2P(linux-bridge)", "linux-bridge", "1GbE", frame_size, simulated, notes)

    def trial(
        self,
        frame_size: int,
        load_pps: float,
        *,
        sent: int | None = None,
        lost: int = 0,
        duration_s: float = 1.0,
        ways: tuple[Direction, ...] = (WAY,),
        machine: Machine | None = None,
        drops: str = "veth ring full",
        invalid: tuple[str, ...] = (),
        simulated: bool = False,
    ) -> TrialResult:
        spec = TrialSpec(frame_size, load_pps, duration_s, ways)
        offered = spec.intended_frames if sent is None else sent
        flows = tuple(FlowCounts(way, spec.intended_frames, offered, offered - lost) for way in ways)
        use = machine or Machine()
        return TrialResult(
            spec=spec,
            flows=flows,
            offered_for_s=duration_s,
            settle_s=0.05,
            started_at=1_750_000_000.0,
            hops=tuple(hop for flow in flows for hop in self.hops(flow, drops)),
            cores=(
                self.core("device", 0, use.device_busy, use.steal, duration_s),
                self.core("generator", 1, use.generator_busy, 0.0, duration_s),
            ),
            threads=(ThreadUse("device", "napi/s0-8", use.thread_busy * duration_s, use.run_delay * duration_s),),
            generator=GeneratorHealth(0.0004, 0.002, 0, use.generator_busy * duration_s, 2),
            invalid=invalid,
            simulated=simulated,
        )

    def hops(self, flow: FlowCounts, drops: str) -> tuple[Hop, ...]:
        way = flow.direction
        reasons = {drops: flow.lost} if flow.lost and drops else {}
        return (
            Hop(way, f"s{way.tx} rx (into the switch)", flow.received, reasons),
            Hop(way, f"s{way.rx} tx (out of the switch)", flow.received),
            Hop(way, f"generator port {way.rx} rx", flow.received),
        )

    def core(self, role: str, number: int, busy: float, steal: float, wall_s: float) -> CoreUse:
        """A core that was so busy while frames were offered; a generator, which polls, to the end."""
        softirq = busy * 0.75 if role == "device" else busy * 0.25
        whole_s = wall_s + TAIL_S
        busy_s = wall_s if role == "device" else whole_s
        return CoreUse(role, number, whole_s, 0.0, (busy - softirq) * busy_s, softirq * busy_s, steal * busy_s)

    def gate(
        self,
        verdict: Verdict,
        trials: tuple[TrialResult, ...],
        reasons: tuple[str, ...] = (),
        target: PacketRate | None = None,
        notes: tuple[str, ...] = (),
    ) -> Measurement:
        spec = trials[0].spec
        subject = self.subject(spec.frame_size, simulated=trials[0].simulated, notes=notes)
        goal = target or PacketRate(spec.rate_pps)
        return Measurement.from_result(Gate(subject, self.goal, goal, Ruling(verdict, reasons), trials))

    def passed(self, frame_size: int = 256) -> Measurement:
        load = line_rate("1GbE", frame_size).pps
        use = Machine(device_busy=0.62, generator_busy=0.48, thread_busy=0.6)
        trial = self.trial(frame_size, load, machine=use)
        return self.gate(Verdict.PASS, (trial, trial), ("2 of 2 trials at 452.9 kpps lost nothing",))

    def failed(self, frame_size: int = 128) -> Measurement:
        load = line_rate("1GbE", frame_size).pps
        trials = tuple(self.trial(frame_size, load, lost=lost) for lost in (84_102, 84_988))
        return self.gate(
            Verdict.FAIL,
            trials,
            ("2 of 2 trials at 844.6 kpps lost more than 0 % of the frames",),
            notes=("device core not isolated",),
        )

    def invalid(self, frame_size: int = 64) -> Measurement:
        load = line_rate("1GbE", frame_size).pps
        why = ("the generator offered 920.2 kpps of 1.488 Mpps",)
        use = Machine(device_busy=0.9, generator_busy=1.0, thread_busy=0.9)
        trials = tuple(
            self.trial(frame_size, load, sent=sent, lost=31, machine=use, invalid=why)
            for sent in (920_233, 918_004, 921_870, 920_112)
        )
        return self.gate(
            Verdict.INVALID, trials, ("nothing was learnt at 1.488 Mpps: 4 of 4 trials invalid", *why)
        )

    def throughput(self, frame_size: int = 64, rate_pps: float = 755_000.0) -> Measurement:
        lower, upper = rate_pps, rate_pps * 1.01
        trials = (
            self.trial(frame_size, 1_488_095.0, lost=731_000),
            self.trial(frame_size, upper, lost=6_100),
            self.trial(frame_size, lower, machine=Machine(device_busy=0.98)),
        )
        rate = PacketRate(rate_pps)
        return Measurement.from_result(
            Throughput(self.subject(frame_size), self.goal, "tst009", rate, lower, upper, trials)
        )

    def latency(self, frame_size: int = 128) -> Measurement:
        one = Latency(
            WAY,
            samples=100_000,
            min_ns=8_120.0,
            mean_ns=14_300.0,
            max_ns=412_000.0,
            percentiles_ns={50.0: 12_400.0, 90.0: 18_000.0, 99.0: 31_500.0, 99.9: 96_000.0},
            jitter_ns=2_100.0,
            floor_ns=6_900.0,
        )
        trial = replace(self.trial(frame_size, 100_000.0, machine=Machine(device_busy=0.2)), latency=(one,))
        return Measurement.from_result(
            LatencyResult(self.subject(frame_size), PacketRate(100_000.0), (one,), (trial,))
        )

    def simulated(self, frame_size: int = 64) -> Measurement:
        trial = self.trial(frame_size, 1_000_000.0, simulated=True)
        return self.gate(Verdict.PASS, (trial,))

    def run(self, identity: str = "k3x9-1a2b", started_at: str = "2025-06-15T15:06:40+00:00") -> Run:
        return Run(identity, started_at, {"--nfv-link": "1GbE"}, "0.1.0")

    def record(self, *measurements: Measurement, run: Run | None = None) -> Record:
        chosen = measurements or (self.invalid(), self.failed(), self.passed())
        outcomes = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.INVALID: "invalid", None: "passed"}
        entries = tuple(
            Entry(
                f"perf_tests/test_switch.py::test_{one.kind}[linux-bridge-{one.subject.frame_size}]",
                outcomes[one.verdict],
                3.2,
                (one,),
            )
            for one in chosen
        )
        facts = {"local": {"kernel": "6.1.0", "cores_online": 2, "cpu_model": "a <small> CPU"}}
        testbed = {"local": {"link": "1GbE", "device_cores": [0]}}
        environment = Environment(facts, testbed, {"local/linux-bridge": "6.1.0"})
        return Record(run or self.run(), environment, ("local: P2P(linux-bridge)",)).with_results(entries)


@pytest.fixture
def samples() -> Samples:
    return Samples()
