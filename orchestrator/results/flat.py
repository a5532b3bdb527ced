"""Results as a flat table: the input's columns, one for each field of the output, then what the answer is worth."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import count
from tempfile import TemporaryFile
from typing import IO

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult

#: What is told of each item, behind its own columns.
TOLD = ("item_id", "status", "tier", "confidence", "cost_usd", "reason")
#: The group of the item's own columns.
OWN = 0
#: The column of an output that has no fields.
OUTPUT = "output"
#: More columns are no table: its items have fields that are data.
MAX_COLUMNS = 1000
_LARGEST_INT = 2**63

#: An item's input, and what it came to.
ResultRow = tuple[JsonObject, ItemResult]


class Kind(Enum):
    """What all values of a column are."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    #: Lists, objects, or a mixture: written as JSON where a cell must be a text.
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    #: No other column's, in large letters or small.
    name: str
    #: None: no row has a value there.
    kind: Kind | None
    #: What rows call it: the number of its group, and its name there.
    key: str

    @property
    def group(self) -> int:
        """Whether it is the item's own (`OWN`), a field of the output, or told of it."""
        return int(self.key[0])


@dataclass(frozen=True)
class Table:
    """Columns, and rows that are read from a temporary file, so that a million take no memory."""

    columns: tuple[Column, ...]
    length: int
    _spool: IO[str]

    def rows(self) -> Iterator[list[Json]]:
        """Yield each row's values, in the order of the columns."""
        places = {column.key: place for place, column in enumerate(self.columns)}
        self._spool.seek(0)
        for line in self._spool:
            row: list[Json] = [None] * len(places)
            for key, value in json.loads(line).items():
                row[places[key]] = value
            yield row


@contextmanager
def flat(results: Iterable[ResultRow]) -> Iterator[Table]:
    """Yield results as a table; columns that would have one name twice get `output.` or `result.` before it."""
    with TemporaryFile("w+", encoding="ascii", prefix="firstline-") as spool:
        names, rows = _Names(), 0
        for given, result in results:
            spool.write(f"{json.dumps(names.row(given, result))}\n")
            rows += 1
        yield Table(names.columns(), rows, spool)


class _Names:
    """The columns as they are met; inputs' first."""

    def __init__(self) -> None:
        self._kinds: tuple[dict[str, Kind | None], ...] = ({}, {}, dict.fromkeys(TOLD))

    def row(self, given: JsonObject, result: ItemResult) -> JsonObject:
        """Return a row by the keys of its columns."""
        output: JsonObject = result.output if isinstance(result.output, dict) else {OUTPUT: result.output}
        told: JsonObject = {name: getattr(result, name) for name in TOLD}
        row: JsonObject = {}
        for group, fields in enumerate((given, output if result.output is not None else {}, told)):
            for name, value in fields.items():
                self._meet(group, name, value)
                row[f"{group}{name}"] = value
        return row

    def _meet(self, group: int, name: str, value: Json) -> None:
        kinds = self._kinds[group]
        kinds[name] = _both(kinds.get(name), _kind(value))
        if len(kinds) > MAX_COLUMNS:
            raise UserError(
                f"a flat table has at most {MAX_COLUMNS:,} columns, and the items' fields are more; "
                "--format nested writes them as they are, to a .jsonl file"
            )

    def columns(self) -> tuple[Column, ...]:
        """Return the columns that were met."""
        found: list[Column] = []
        taken: set[str] = set()
        for group, kinds in enumerate(self._kinds):
            for name, kind in kinds.items():
                free = next(one for one in _spellings(name, _PREFIXES[group]) if one.casefold() not in taken)
                taken.add(free.casefold())
                found.append(Column(free, kind, f"{group}{name}"))
        return tuple(found)


#: What is put before a name of each group that an earlier column has.
_PREFIXES = ("", "output.", "result.")


def _spellings(name: str, prefix: str) -> Iterator[str]:
    yield name
    yield f"{prefix}{name}"
    yield from (f"{prefix}{name}_{number}" for number in count(2))


def _kind(value: Json) -> Kind | None:
    match value:
        case None:
            return None
        case bool():
            return Kind.BOOL
        case int() if abs(value) < _LARGEST_INT:
            return Kind.INT
        case float():
            return Kind.FLOAT
        case str():
            return Kind.TEXT
        case _:
            return Kind.JSON


def _both(one: Kind | None, other: Kind | None) -> Kind | None:
    if one is None or other is None or one is other:
        return one or other
    return Kind.FLOAT if {one, other} == {Kind.INT, Kind.FLOAT} else Kind.JSON
