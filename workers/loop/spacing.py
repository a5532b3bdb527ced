"""Calls that begin one after the other: as far apart as the loop needs for one."""

#: What is known of a call's own time on the loop is the mean of many: calls are spaced by this much of it.
_SPACED = 0.8
#: Seconds between two calls at the most, and how far one who comes late may catch up: timers are a millisecond late.
_LONGEST_S, _CATCH_UP_S = 0.01, 0.002
#: Calls of a stretch of time from which its time per call is known.
_ENOUGH = 10


class Spacing:
    """Keeps the calls of one loop apart.

    Calls that begin in one moment end in one moment: the loop takes all of them a step further before it takes the
    first one the next step, so that none of their successors begins before nearly all of them are through, and places
    stand empty. Spaced by the loop's own time for a call, none begins later than the loop would have got to it, and
    they stay apart from then on. (A leaky bucket whose rate is the loop's.)
    """

    def __init__(self) -> None:
        self._gap_s = 0.0
        self._next_at = 0.0
        self._begun = 0

    @property
    def gap_s(self) -> float:
        """Seconds between two calls as of now."""
        return self._gap_s

    def learn(self, busy_s: float) -> None:
        """Note for how many seconds the loop was busy since this was last told."""
        if self._begun >= _ENOUGH:
            self._gap_s = min(_LONGEST_S, _SPACED * busy_s / self._begun)
        self._begun = 0

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next call may begin, given the loop's time."""
        return max(0.0, self._next_at - now)

    def begin(self, now: float) -> None:
        """Note that a call begins."""
        self._begun += 1
        self._next_at = max(self._next_at, now - _CATCH_UP_S) + self._gap_s
