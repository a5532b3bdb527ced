"""Many rows through one statement, at the driver's own speed.

SQLAlchemy's `execute` with a list of rows looks every value up by name several times; for the few statements on the way
of every batch that took longer than the database does. Here SQLAlchemy compiles a statement once, and the converters of
its types are applied to each row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ClauseElement, Connection, Dialect


def execute_many(tx: Connection, statement: ClauseElement, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run a statement for each of the rows, which have the same keys; return how many rows it changed."""
    if not rows:
        return 0
    prepared = _prepare(statement, tx.dialect, tuple(rows[0]))
    return tx.exec_driver_sql(prepared.sql, [prepared.told(row) for row in rows]).rowcount


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A compiled statement, with where its parameters' values come from."""

    sql: str
    #: Names of the parameters in their order, and what takes their values from a row.
    names: tuple[str, ...]
    taken: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    #: Parameters by position whose values the driver wants in another form.
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]
    #: Values that the statement itself brings along, by name.
    fixed: Mapping[str, Any]
    positional: bool

    def told(self, row: Mapping[str, Any]) -> Any:
        """Return the driver's parameters for a row."""
        values = [*self.taken({**row, **self.fixed} if self.fixed else row)]
        for at, convert in self.converted:
            values[at] = convert(values[at])
        return tuple(values) if self.positional else dict(zip(self.names, values, strict=True))


@lru_cache(maxsize=64)
def _prepare(statement: ClauseElement, dialect: Dialect, columns: tuple[str, ...]) -> _Prepared:
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(columns))
    names = tuple(compiled.positiontup if compiled.positional else compiled.params)
    converters = [compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    return _Prepared(
        sql=compiled.string,
        names=names,
        taken=itemgetter(*names),
        converted=tuple((at, convert) for at, convert in enumerate(converters) if convert is not None),
        fixed={name: value for name, value in compiled.params.items() if name not in columns},
        positional=bool(compiled.positional),
    )
