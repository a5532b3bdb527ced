"""What reports and tables are drawn on: a terminal that obeys none of the texts that it is shown, a file or a pipe."""

from collections.abc import Iterable
from functools import partial

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from firstline.config.telemetry.terminal import shown

#: Columns of a report in a file or a pipe; on a terminal, as many as there are.
_PIPE_COLUMNS = 120


class PlainConsole(Console):
    """A console that obeys its styles alone: reasons, names and answers are strangers' words."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is drawn, pictures in place of the control characters of its texts."""
        for one in super().render(renderable, options):
            yield one if one.control else one._replace(text=shown(one.text))


def wide_console(*, stderr: bool = False) -> Console:
    """Return a console that does not squeeze tables where nothing has to fit, and prints `[this]` and `:that:` as such.

    Reasons, names and answers are strangers' words, not markup of ours.
    """
    plain = partial(PlainConsole, stderr=stderr, markup=False, emoji=False, highlight=False)
    console = plain()
    return console if console.is_terminal else plain(width=_PIPE_COLUMNS)
