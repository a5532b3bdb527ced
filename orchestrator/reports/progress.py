"""How far a job is, while it runs: a live bar on a terminal, plain lines elsewhere, always on stderr."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Self, TextIO

from firstline.orchestrator.reports.formatting import count, dollars, percent, seconds
from firstline.schemas.job import JobState, JobStatus

if TYPE_CHECKING:
    from rich.console import RenderableType

#: The rate that the time left follows from is taken over so many seconds.
_WINDOW_S = 30.0
#: Where nobody watches, a line so often.
_LINE_EVERY_S = 5.0


class TimeLeft:
    """Estimates the seconds left from how fast items have ended lately."""

    def __init__(self, window_s: float = _WINDOW_S) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, at_s: float, status: JobStatus) -> float | None:
        """Note a status and return the seconds left; None while no item has ended within the window."""
        self._samples.append((at_s, status.ended_items))
        while len(self._samples) > 2 and at_s - self._samples[0][0] > self._window_s:
            self._samples.popleft()
        begun_s, ended_then = self._samples[0]
        ended = status.ended_items - ended_then
        if ended <= 0 or at_s <= begun_s:
            return None
        return (status.items - status.ended_items) * (at_s - begun_s) / ended


def line(status: JobStatus, left_s: float | None = None) -> str:
    """Return a job's progress in one line."""
    parts = [f"{status.ended_items:,}/{status.items:,} items"]
    parts += [f"{tier} {settled:,}" for tier, settled in status.by_tier.items()]
    parts.append(f"escalated {_share(status.escalated, status.settled)}")
    parts.append(f"failed {status.failed:,}")
    if status.review:
        parts.append(f"in review {status.review:,}")
    parts.append(_money(status))
    if left_s is not None and not status.state.ended:
        parts.append(f"about {seconds(left_s)} left")
    if status.state is not JobState.RUNNING:
        parts.insert(0, status.state.value.replace("_", " "))
    elif status.reason:
        parts.append(status.reason)
    return " · ".join(parts)


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({percent(part / whole, decimals=0)})" if whole else f"{part:,}"


def _money(status: JobStatus) -> str:
    cap = f" of {dollars(status.budget_usd)}" if status.budget_usd else ""
    unpriced = f" + {count(status.unpriced, 'call')} without a price" if status.unpriced else ""
    return f"{dollars(status.cost_usd)}{cap}{unpriced}"


class Lines:
    """Progress as plain lines, one every few seconds and one whenever the state changes."""

    def __init__(
        self, stream: TextIO, *, title: str = "", every_s: float = _LINE_EVERY_S, clock: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._title = title
        self._every_s = every_s
        self._clock = clock
        self._left = TimeLeft()
        self._shown: tuple[float, JobState] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def show(self, status: JobStatus) -> None:
        """Write a line if it is time for one."""
        now_s = self._clock()
        left_s = self._left.update(now_s, status)
        if self._shown and self._shown[1] == status.state and now_s - self._shown[0] < self._every_s:
            return
        self._shown = (now_s, status.state)
        self._stream.write(f"{self._title}{line(status, left_s)}\n")
        self._stream.flush()


class Bar:
    """Progress as a bar and a line under it, redrawn in place."""

    def __init__(self, title: str = "") -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = title
        self._left = TimeLeft()
        self._live = Live(console=Console(stderr=True), refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: JobStatus) -> None:
        """Redraw."""
        left_s = self._left.update(time.monotonic(), status)
        self._live.update(_drawn(status, f"{self._title}{line(status, left_s)}"))


def _drawn(status: JobStatus, text: str) -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    return Group(ProgressBar(total=max(status.items, 1), completed=status.ended_items), Text(text))


def show_progress(statuses: Iterable[JobStatus], *, title: str = "", quiet: bool = False) -> JobStatus:
    """Show statuses as they come and return the last one; there is always one."""
    if quiet:
        return deque(statuses, maxlen=1)[0]
    view = Bar(title) if sys.stderr.isatty() else Lines(sys.stderr, title=title, clock=time.monotonic)
    with view:
        return deque(map(partial(_shown, view), statuses), maxlen=1)[0]


def _shown(view: Bar | Lines, status: JobStatus) -> JobStatus:
    view.show(status)
    return status
