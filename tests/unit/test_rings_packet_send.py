"""How the answers of sendmmsg are accounted for, on a device of the test's own."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.rings.packet_send import SEND_WAIT_S, offer_all


class Device:
    """Does as `__sys_sendmmsg`: stops at the first frame that fails, and tells why only where it is first."""

    def __init__(self, fates: list[str]) -> None:
        self.fates = fates
        self.transmitted: list[int] = []
        self.dropped: list[int] = []
        self.now = 0.0

    def send(self, skip: int, count: int) -> int:
        for place in range(skip, skip + count):
            fate = self.fates[place]
            if fate == "sent":
                self.transmitted.append(place)
                continue
            if fate == "refused":
                self.dropped.append(place)
            else:
                self.now += SEND_WAIT_S
            failure = errno.ENOBUFS if fate == "refused" else errno.EAGAIN
            return place - skip if place > skip else -failure
        return count

    def clock(self) -> float:
        return self.now


@given(st.lists(st.sampled_from(["sent", "refused"]), min_size=1, max_size=64))
def test_every_frame_is_offered_once_and_the_device_agrees(fates: list[str]) -> None:
    device = Device(fates)
    done, refused = offer_all(device.send, len(fates), device.clock)
    assert (done, refused) == (len(fates), fates.count("refused"))
    assert sorted(device.transmitted + device.dropped) == list(range(len(fates)))
    assert (len(device.transmitted), len(device.dropped)) == (done - refused, refused)


@given(st.lists(st.sampled_from(["sent", "refused", "no room"]), min_size=1, max_size=64))
def test_a_frame_that_found_no_room_ends_the_call_and_is_in_neither_count(fates: list[str]) -> None:
    device = Device(fates)
    done, refused = offer_all(device.send, len(fates), device.clock)
    stop = fates.index("no room") if "no room" in fates else len(fates)
    assert done == stop
    assert refused == fates[:stop].count("refused")


def test_an_interrupted_call_is_tried_again_later() -> None:
    answers: Iterator[int] = iter([3, -errno.EINTR])
    done, refused = offer_all(lambda skip, count: next(answers), 8, lambda: 0.0)
    assert (done, refused) == (4, 1)
