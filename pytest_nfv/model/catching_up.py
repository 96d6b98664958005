"""Loss that may be the generator's own doing: after a stall it sends faster than the load, to catch up."""

from __future__ import annotations

from pytest_nfv.model.trial import FlowCounts


def pushed(count: FlowCounts, refused: int, refused_behind: int, caught_up: int) -> str:
    """Say that catching up may explain a flow's loss; "" where it does not.

    It may where most of what was lost was not refused while the load was on schedule, and is no more than what was
    sent faster than that. Where frames were not sent, that is said elsewhere. A stall without loss is nothing.

    Args:
        count: what the sender sent and the receiver received.
        refused: frames that the device's full ring refused at the flow's port.
        refused_behind: those of them that were part of catching up.
        caught_up: frames sent faster than the load.
    """
    suspected = count.lost - (refused - refused_behind)
    if count.not_sent or not count.lost / 2 < suspected <= caught_up:
        return ""
    return (
        f"{count.direction}: the {count.lost:,} frames lost may be the generator's own doing: "
        f"after stalls it sent {caught_up:,} frames faster than the load"
    )
