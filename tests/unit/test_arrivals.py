"""What is expected of frames that a switch rewrites."""

from __future__ import annotations

from pytest_nfv.deployment.arrivals import as_they_arrive
from pytest_nfv.model.offer import FlowOffer, Offer, Shape
from pytest_nfv.model.trial import Direction


def swapped(way: Direction, frame: bytes) -> bytes:
    return frame[6:12] + frame[:6] + frame[12:]


SENT = FlowOffer(
    3, Direction(0, 1), 1e3, 10, "aa" * 6 + "bb" * 6 + "00" * 48, others=(Shape("cc" * 80),), tuples=7
)


def test_every_shape_gets_what_the_switch_makes_of_it() -> None:
    offer = Offer((SENT,), burst=4)
    (flow,) = as_they_arrive(offer, swapped).flows
    assert (flow.template, flow.expected) == (SENT.template, "bb" * 6 + "aa" * 6 + "00" * 48)
    assert flow.others == (Shape("cc" * 80, ""),)  # both addresses alike: it arrives as it was sent
    assert (flow.flow, flow.tuples, flow.frames) == (3, 7, 10)
    assert as_they_arrive(offer, swapped).burst == 4


def test_a_switch_that_changes_nothing_leaves_the_offer_as_it_is() -> None:
    offer = Offer((SENT,))
    assert as_they_arrive(offer, lambda way, frame: frame) == offer
