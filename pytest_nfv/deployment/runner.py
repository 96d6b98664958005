"""A trial as RFC 2544 has it: learning frames, load for a duration, wait for rest, count; then judge it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pytest_nfv.deployment.arrivals import as_they_arrive
from pytest_nfv.deployment.calibration import Floor, latency_every
from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.hops import waterfall_across
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.validity import reasons_disturbed, reasons_invalid, reasons_off_clock
from pytest_nfv.errors import DeploymentError, GeneratorError
from pytest_nfv.model.accounts import stolen_from_device_s
from pytest_nfv.model.offer import QUIET_S, FlowOffer, Offer, Shape, by_direction
from pytest_nfv.model.trial import Direction, TrialResult, TrialSpec

VNF_QUIET_S = 0.25
"""A VNF that is slow, or has no turn on its core, keeps frames for longer than a switch does."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the frames of a measurement are like.

    Attributes:
        frame_size: octets with FCS; of a mix, the mean.
        templates: frame without FCS per direction, as hex; a direction may have several, which take turns.
        burst: frames sent back to back at a time; 0 is as even as the generator can.
        maximum: the rate of a trial is a ceiling, of which as much as can be is offered.
        others: the same frames in further sizes, for each of `templates`.
        cycle: in which order the sizes come; empty where there is one.
        tuples: 5-tuples of each.
        rewrite: every frame is written whole before it is sent.
    """

    frame_size: int
    templates: tuple[tuple[Direction, str], ...]
    burst: int = 0
    maximum: bool = False
    others: tuple[tuple[str, ...], ...] = ()
    cycle: tuple[int, ...] = ()
    tuples: int = 1
    rewrite: bool = False

    def spec(self, rate_pps: float, duration_s: float) -> TrialSpec:
        """Return the trial of this load at a rate."""
        return TrialSpec(self.frame_size, rate_pps, duration_s, self.ways)

    @property
    def ways(self) -> tuple[Direction, ...]:
        """The directions, each once."""
        return tuple(dict.fromkeys(way for way, _ in self.templates))

    def flows(self, spec: TrialSpec) -> tuple[FlowOffer, ...]:
        """Return what the generator is asked for; the frames of a direction share its rate evenly."""
        streams = len(self.templates) // len(self.ways)
        others = self.others or ((),) * len(self.templates)
        return tuple(
            FlowOffer(
                number,
                way,
                spec.rate_pps / streams,
                max(1, round(spec.intended_frames / streams)),
                template,
                tuples=self.tuples,
                others=tuple(map(Shape, more)),
                cycle=self.cycle,
            )
            for number, ((way, template), more) in enumerate(zip(self.templates, others, strict=True))
        )


class TrialRunner:
    """Implements `model.measurer.Measurer` on a deployment."""

    def __init__(self, deployment: Deployment, load: Load, observer: Observer) -> None:
        self._deployment = deployment
        self._load = load
        self._observer = observer

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        """Run one trial.

        Raises:
            GeneratorError: the generator died; DeploymentError: the switch did.
        """
        spec = self._load.spec(rate_pps, duration_s)
        self._observer.trial_started(spec)
        try:
            result = self._trial(spec)
        except DeploymentError:
            self._deployment.broken = True
            raise
        self._observer.trial_done(result)
        return result

    def floor(self, rate_pps: float) -> Floor | None:
        """Return what the generator adds to a latency at this load by itself; None where that cannot be told.

        Raises:
            GeneratorError: the generator died.
        """
        try:
            return self._deployment.floors.of(self._offer(self._load.spec(rate_pps, 1.0)))
        except DeploymentError:
            self._deployment.broken = True
            raise

    def _trial(self, spec: TrialSpec) -> TrialResult:
        device, generator = self._deployment, self._deployment.generator
        device.check()
        generator.learn()
        device.begin()
        started_at = time.time()

        def progress(elapsed_s: float, sent: int, received: int) -> None:
            device.glance()
            self._observer.trial_progress(spec, elapsed_s, sent, received)

        try:
            report = generator.offer(as_they_arrive(self._offer(spec), device.arriving), progress)
        except GeneratorError:
            device.check()  # a dead switch is the better explanation of a generator that lost its port
            raise
        spent, cores, threads = device.end()
        whole = by_direction(report)
        hops = waterfall_across(whole, device.crossed(spent), applications=device.applications)
        stolen_s = stolen_from_device_s(cores, threads)
        return TrialResult(
            spec=spec,
            flows=report.flows,
            offered_for_s=report.offered_for_s,
            settle_s=report.settle_s,
            started_at=started_at,
            hops=hops,
            latency=report.latency,
            cores=cores,
            threads=threads,
            generator=report.health,
            invalid=(
                *reasons_invalid(whole, hops, stolen_s, maximum=self._load.maximum),
                *reasons_off_clock(cores, device.frequency),
            ),
            disturbed=reasons_disturbed(cores, stolen_s),
            guests=tuple(guest for one in spent for guest in one.guests),
        )

    def _offer(self, spec: TrialSpec) -> Offer:
        return Offer(
            self._load.flows(spec),
            burst=self._load.burst,
            latency_every=latency_every(spec.rate_pps),
            maximum=self._load.maximum,
            quiet_s=VNF_QUIET_S if self._deployment.chains.instances else QUIET_S,
            receiver_measured=self._deployment.applications,
            rewrite=self._load.rewrite,
        )
