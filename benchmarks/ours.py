"""Our side of the benchmarks: the generator's own process, driven as a test run drives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.windows import Moment, Window, moment
from pytest_nfv.deployment.calibration import latency_every
from pytest_nfv.errors import GeneratorError
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.generators.templates import ethernet_udp
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import FlowOffer, Offer, PortSpec, Report
from pytest_nfv.model.trial import Direction

WARM_S = 0.3
"""What a run has before its window, and the least that follows it: all has begun, and nothing has ended."""
PROGRESS_S = 0.25
CEILING_PPS = 200e6
"""An offered load that no port takes: the generator sends what it can."""

MTU = 1500
Reading = Callable[[], tuple[int, ...]]


def address(port: int) -> str:
    """Return the MAC address of a port of ours."""
    return f"02:6e:00:00:00:{port:02x}"


def flow(number: int, direction: Direction, frame_size: int, rate_pps: float, seconds: float) -> FlowOffer:
    """Return one direction's frames for `seconds`."""
    frame = ethernet_udp(frame_size, src=address(direction.tx), dst=address(direction.rx))
    return FlowOffer(number, direction, rate_pps, max(1, round(rate_pps * seconds)), frame.hex())


def offer_for(
    directions: Sequence[Direction], frame_size: int, rate_pps: float, seconds: float, role: str = "both"
) -> Offer:
    """Return an offer that lasts for a window of `seconds` and what stands before and behind it."""
    whole_s = WARM_S + seconds + 2 * PROGRESS_S
    flows = tuple(
        flow(number, direction, frame_size, rate_pps, whole_s) for number, direction in enumerate(directions)
    )
    ceiling = rate_pps >= CEILING_PPS
    return Offer(
        flows, role=role, latency_every=latency_every(rate_pps), maximum=ceiling, receiver_measured=ceiling
    )


@contextmanager
def generator(core: int, ports: Sequence[PortSpec], host: Host | None = None) -> Iterator[Builtin]:
    """The generator's process with its ports open, until the block ends."""
    builtin = Builtin(host or LocalHost(), core)
    try:
        builtin.open(ports)
        yield builtin
    finally:
        builtin.close()


def measured(
    builtin: Builtin, offer: Offer, seconds: float, tids: Sequence[int], reading: Reading | None = None
) -> tuple[Window, Report]:
    """Run the offer; return the window in its middle, and the generator's report of all of it.

    Args:
        builtin: with its ports open.
        offer: as `offer_for` makes it.
        seconds: length of the window, at least.
        tids: threads beside the generator's whose run delay counts.
        reading: counters of somebody else, read at both ends of the window; without it, the window counts the
            frames that the generator sent and those that it took back, by its own clock.

    Raises:
        GeneratorError: it told too little progress for a window.
    """
    watched = (builtin.pid(), *tids)
    seen: list[Moment] = []

    def look(elapsed_s: float, sent: int, received: int) -> None:
        begun = bool(seen)
        at_s = elapsed_s if reading is None else time.monotonic()
        if len(seen) == 2 or elapsed_s < WARM_S or (begun and at_s - seen[0].at_s < seconds):
            return
        counts = (sent, received) if reading is None else reading()
        seen.append(moment(elapsed_s if reading is None else time.monotonic(), counts, watched))

    report = builtin.offer(offer, look)
    if len(seen) < 2:
        raise GeneratorError(
            f"the generator told its progress too seldom for a window of {seconds:g} s: accepted: longer --seconds"
        )
    return Window(seen[0], seen[1]), report


def watched(seconds: float, tids: Sequence[int], reading: Reading) -> Window:
    """Return a window over counters of processes that run by themselves."""
    time.sleep(WARM_S)  # the same as ours has
    first = moment(time.monotonic(), reading(), tids)
    time.sleep(seconds)  # a window is a span of time, no wait for anything
    return Window(first, moment(time.monotonic(), reading(), tids))
