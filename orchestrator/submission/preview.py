"""What a person is shown of an input before it is submitted: its first rows, and where each field is taken from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from firstline.orchestrator.submission.input_fit import InputFit
from firstline.orchestrator.submission.item_fields import FieldNeed
from firstline.orchestrator.submission.item_reader import InputItem

#: Rows that are shown.
ROWS = 10


class FieldSource(NamedTuple):
    """Where a field that the workflow reads is taken from."""

    need: FieldNeed
    #: A column, or a path into one; None: no item has it.
    column: str | None
    #: The person has not chosen it: it is the likeliest.
    guessed: bool = False


class Preview(NamedTuple):
    """An input as it is before anything is mapped."""

    rows: tuple[InputItem, ...]
    #: Every column, as it is met first, and the paths into those of the rows that hold objects.
    columns: tuple[str, ...]
    paths: tuple[str, ...]
    sources: tuple[FieldSource, ...]

    @property
    def mapping(self) -> dict[str, str]:
        """Field -> column, of those that go by another name."""
        return {one.need.path: one.column for one in self.sources if one.column not in (None, one.need.path)}


def preview(items: Iterable[InputItem], needs: Sequence[FieldNeed], chosen: Mapping[str, str]) -> Preview:
    """Look at all items; `chosen`: field -> column as a person has it, what the input lacks of it is asked anew."""
    fit = InputFit(needs)
    rows: list[InputItem] = []
    for item in fit.watch(items):
        if len(rows) < ROWS:
            rows.append(item)
    columns, paths = tuple(fit.columns), tuple(dict.fromkeys(path for row in rows for path in _paths(row)))
    sources = tuple(_source(need, fit, {*columns, *paths}, chosen.get(need.path)) for need in needs)
    return Preview(tuple(rows), columns, paths, sources)


def _paths(row: InputItem) -> Iterator[str]:
    for name, value in row.input.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)


def _source(need: FieldNeed, fit: InputFit, known: set[str], chosen: str | None) -> FieldSource:
    if chosen in known:
        return FieldSource(need, chosen)
    if need.path in known:
        return FieldSource(need, need.path)
    guess = fit.guess(need.path) if need.always else None
    return FieldSource(need, guess, guessed=guess is not None)
