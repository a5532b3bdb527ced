"""How far a job is, while it runs: a live bar on a terminal, plain lines elsewhere, always on stderr."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from firstline.orchestrator.reports.console import PlainConsole
from firstline.orchestrator.reports.formatting import count, dollars, percent, seconds
from firstline.schemas.job import JobState, JobStatus

#: The rate, and the time left that follows from it, are taken over so many seconds ...
_WINDOW_S = 30.0
#: ... and where nobody watches, a line is written so often.
_LINE_EVERY_S = 5.0


def line(status: JobStatus, left_s: float | None = None) -> str:
    """Return a job's progress in one line."""
    parts = [] if status.state is JobState.RUNNING else [status.state_in_words]
    parts += [f"{status.ended_items:,}/{status.items:,} items", *_split(status), _money(status)]
    if left_s is not None and not status.state.ended:
        parts.append(f"about {seconds(left_s)} left")
    if status.reason and status.state is JobState.RUNNING:
        parts.append(status.reason)
    return " · ".join(parts)


def _split(status: JobStatus) -> list[str]:
    """Return where the items of a job ended."""
    parts = [f"{tier} {settled:,}" for tier, settled in status.by_tier.items()]
    parts.append(f"escalated {_share(status.escalated, status.settled)}")
    parts.append(f"failed {status.failed:,}")
    if status.review:
        parts.append(f"in review {status.review:,}")
    return parts


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({percent(part / whole, decimals=0)})" if whole else f"{part:,}"


def _money(status: JobStatus) -> str:
    cap = f" of {dollars(status.budget_usd)}" if status.budget_usd else ""
    unpriced = f" + {count(status.unpriced, 'call')} without a price" if status.unpriced else ""
    return f"{dollars(status.cost_usd)}{cap}{unpriced}"


def rate(task: Task) -> float | None:
    """Return the items that ended a second of late, else since the watching began; None before any did."""
    if task.speed is not None:
        return task.speed
    ended = task.completed - task.fields["begun_at"]
    return ended / task.elapsed if ended > 0 and task.elapsed else None


def left_s(task: Task) -> float | None:
    """Return the seconds until the last item has ended, at the present rate."""
    per_s = rate(task)
    return task.remaining / per_s if per_s and task.remaining is not None else None


class _Figure(ProgressColumn):
    """One figure of a job, in as much space as it needs."""

    def __init__(self, text: Callable[[Task], str], style: str = "") -> None:
        self._text, self._style = text, style
        super().__init__()

    def render(self, task: Task) -> Text:
        """Draw it."""
        return Text(self._text(task), style=self._style, justify="right", no_wrap=True)


def _counts(task: Task) -> str:
    return f"{task.completed:,.0f}/{task.total or 0:,.0f}"


def _dollars(task: Task) -> str:
    return dollars(task.fields["status"].cost_usd)


def _rate(task: Task) -> str:
    per_s = rate(task)
    if per_s is None:
        return ""
    return f"{per_s:.1f}/s" if per_s >= 1 else f"{60 * per_s:.1f}/min"


def _time(task: Task) -> str:
    if task.fields["status"].state.ended:
        return seconds(task.elapsed)
    left = left_s(task)
    if left is None:
        return ""
    return "<10 s left" if left < 10 else f"{seconds(round(left))} left"


class JobProgress(Progress):
    """A job's bar with its figures, and under it where its items ended; plain lines where no terminal is."""

    def __init__(
        self,
        console: Console,
        *,
        title: str = "",
        every_s: float = _LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._every_s, self._clock = title, every_s, clock
        self._shown: tuple[float, JobState] | None = None
        self._under = Text()
        columns = (
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            _Figure(_counts),
            _Figure(_dollars, "green"),
            _Figure(_rate, "dim"),
            _Figure(_time, "cyan"),
        )
        super().__init__(
            *columns,
            console=console,
            expand=True,
            speed_estimate_period=_WINDOW_S,
            get_time=clock,
            disable=not console.is_terminal,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Draw the bar, and the text under it in as many rows as it takes."""
        yield from super().get_renderables()
        yield self._under

    def show(self, status: JobStatus) -> None:
        """Take over how the job stands now."""
        if not self.tasks:
            self.add_task("", total=None, status=status, begun_at=status.ended_items)
        task = self.tasks[0]
        # A total that changes (items are still being handed in) makes rich forget its samples; 0 would be "finished".
        self.update(task.id, total=max(status.items, 1), completed=status.ended_items, status=status)
        if self.disable:
            self._write(status, task)
        else:
            self._under = Text(self._title + _under(status), style="dim" if status.state.works else "")
            self.refresh()

    def _write(self, status: JobStatus, task: Task) -> None:
        """Write a line if it is time for one: every few seconds, and whenever the state changes."""
        now_s = self._clock()
        if self._shown and self._shown[1] == status.state and now_s - self._shown[0] < self._every_s:
            return
        self._shown = (now_s, status.state)
        self.console.file.write(f"{self._title}{line(status, left_s(task))}\n")
        self.console.file.flush()


def _under(status: JobStatus) -> str:
    """Return what the bar does not say."""
    parts = [] if status.state is JobState.RUNNING else [status.state_in_words]
    parts += _split(status)
    if status.budget_usd or status.unpriced:
        parts.append(_money(status))
    if status.reason:
        parts.append(status.reason)
    return " · ".join(parts)


def show_progress(statuses: Iterable[JobStatus], *, title: str = "", quiet: bool = False) -> JobStatus:
    """Show statuses as they come and return the last one; there is always one."""
    if quiet:
        return deque(statuses, maxlen=1)[0]
    with JobProgress(PlainConsole(stderr=True), title=title) as progress:
        for status in statuses:
            progress.show(status)
    return status
