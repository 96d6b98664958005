"""When frames are due: an even schedule, and a token bucket that keeps the way back to it gentle.

Frame i is due at i / rate. What is owed after a stall is not thrown at the device at once: at most `burst_max`
frames back to back, and then at 1.02 to 1.1 times the rate, as little as gets it done by the end. So the number
of frames is exact, unless time runs out: `GRACE` of the duration after the end, what is still owed is not sent.
Where frames go out in groups, one group more may follow at once.
"""

from __future__ import annotations

CATCH_UP_MIN, CATCH_UP_MAX = 0.02, 0.1
GRACE = 0.001
GRACE_MIN_NS = 200_000


class Pacer:
    """The schedule of one port in one trial. The clock comes in with each call, in ns.

    Attributes:
        sent: frames that went out so far.
        caught_up: frames that were owed beyond `burst_max`, hence sent faster than the rate.
        end_ns: when the last frame period ends; deadline_ns: when sending stops.
    """

    def __init__(self, rate_pps: float, frames: int, start_ns: int, burst_max: int, group: int = 0) -> None:
        self._per_ns = rate_pps / 1e9
        self._frames = frames
        self._start_ns = start_ns
        self._group = max(1, group)
        # Groups come due between two looks: without room for one more, what is earned meanwhile would spill.
        self._depth = burst_max if self._group == 1 else max(burst_max, self._group) + self._group
        self._tokens = float(self._depth)
        self._looked_ns = start_ns
        self._debt = 0
        self._catch_up = CATCH_UP_MIN
        self.sent = 0
        self.caught_up = 0
        duration_ns = round(frames / self._per_ns)
        self.end_ns = start_ns + duration_ns
        self.deadline_ns = self.end_ns + max(int(duration_ns * GRACE), GRACE_MIN_NS)

    @property
    def behind(self) -> bool:
        """Whether more is owed than `burst_max`: the load is above the rate until that is made up for."""
        return self._debt > 0

    def over(self, now_ns: int) -> bool:
        """Whether all frames went out, or time ran out."""
        return self.sent >= self._frames or now_ns >= self.deadline_ns

    def due(self, now_ns: int) -> int:
        """Return how many frames may go out now."""
        elapsed = now_ns - self._start_ns
        if elapsed < 0 or now_ns >= self.deadline_ns:
            return 0
        groups = int(elapsed * self._per_ns) // self._group + 1
        owed = min(groups * self._group, self._frames) - self.sent
        if owed <= 0:
            return 0
        earned = (now_ns - self._looked_ns) * self._per_ns * (1 + self._catch_up)
        self._tokens = min(self._tokens + earned, self._depth)
        self._looked_ns = now_ns
        if owed > self._depth or self._debt:
            self._owe(owed - self._depth, now_ns)
        return self._whole_groups(min(owed, int(self._tokens)), owed)

    def _owe(self, debt: int, now_ns: int) -> None:
        debt = max(0, debt)
        self.caught_up += max(0, debt - self._debt)
        self._debt = debt
        left = max(1.0, (self.end_ns - now_ns) * self._per_ns)
        self._catch_up = min(max(CATCH_UP_MIN, 2 * debt / left), CATCH_UP_MAX)

    def _whole_groups(self, count: int, owed: int) -> int:
        """Leave groups whole, but for one that was begun and for the last."""
        if self._group == 1 or (count == owed and self.sent + owed == self._frames):
            return count
        begun = -self.sent % self._group
        return count if count < begun else begun + (count - begun) // self._group * self._group

    def went_out(self, count: int) -> None:
        """Note that `count` frames were sent or refused."""
        self.sent += count
        self._tokens -= count
