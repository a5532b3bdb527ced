"""Many rows through one statement, as fast as each database takes them.

SQLAlchemy's `execute` with a list of rows looks every value up by name several times, and runs the statement for each;
for the few statements on the way of every batch that took longer than the database does. SQLite gets a statement that
was compiled once, and its parameters row by row, which costs it next to nothing. For PostgreSQL each run of a statement
is dear: it gets all rows at once, as one JSON parameter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, ClauseElement, Connection, Dialect, Text, bindparam, cast, column, func, select, text
from sqlalchemy.types import TypeEngine

from firstline.orchestrator.store.types import json_text

_ROWS = "rows"


class StatementRows:
    """The rows in a statement: `given[name]` is a row's value, `given.into(insert)` the insert of them all."""

    def __init__(self, types: Mapping[str, TypeEngine[Any]], *, at_once: bool) -> None:
        self._types = types
        # JSON inside JSON travels as text: PostgreSQL would not take a NUL in it, which JSON may hold.
        columns = [column(name, Text() if isinstance(kind, JSON) else kind) for name, kind in types.items()]
        rows = func.json_to_recordset(cast(bindparam(_ROWS, type_=Text), JSON))
        self._source = rows.table_valued(*columns, name="given").render_derived(with_types=True) if at_once else None

    def __getitem__(self, name: str) -> Any:
        if self._source is None:
            return bindparam(name, type_=self._types[name])
        # A cast by SQLAlchemy would take the text for a value of that type.
        is_json = isinstance(self._types[name], JSON)
        return self._source.c[name].op("::")(text("json")) if is_json else self._source.c[name]

    def into(self, insert: Any) -> Any:
        """Return an INSERT of the rows' values into the columns of the same names."""
        if self._source is None:
            return insert.values({name: self[name] for name in self._types})
        return insert.from_select(
            list(self._types), select(*map(self.__getitem__, self._types)), include_defaults=False
        )


@dataclass(frozen=True, eq=False)
class Many:
    """A statement for many rows."""

    #: What makes the statement.
    make: Callable[[StatementRows, str], ClauseElement]
    #: Names in a row, and the types of their values.
    types: Mapping[str, TypeEngine[Any]]

    def run(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for rows of these names; return how many rows of the table changed."""
        if not rows:
            return 0
        if tx.dialect.name != "sqlite":
            return tx.execute(_at_once(self, tx.dialect.name), {_ROWS: self._dumped(rows)}).rowcount
        prepared = _prepare(self, tx.dialect)
        return tx.exec_driver_sql(prepared.sql, [prepared.told(row) for row in rows]).rowcount

    @cached_property
    def _nested(self) -> tuple[str, ...]:
        return tuple(name for name, kind in self.types.items() if isinstance(kind, JSON))

    def _dumped(self, rows: Sequence[Mapping[str, Any]]) -> str:
        nested = self._nested
        told = [{**row, **{name: json_text(row[name]) for name in nested}} for row in rows]
        dumped = json_text(told)
        if "\\u0000" not in dumped:
            return dumped
        # No text of PostgreSQL can hold a NUL; what a model said is not lost for it.
        return json_text([{name: _without_nul(value) for name, value in row.items()} for row in told])


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


@lru_cache(maxsize=64)
def _at_once(many: Many, dialect: str) -> Any:
    return many.make(StatementRows(many.types, at_once=True), dialect)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A compiled statement, with where its parameters' values come from."""

    sql: str
    #: What takes the values from a row, in the order of the statement.
    taken: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    #: Parameters by position whose values the driver wants in another form.
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]
    #: Values that the statement itself brings along, by name.
    fixed: Mapping[str, Any]

    def told(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the driver's parameters for a row."""
        values = [*self.taken({**row, **self.fixed} if self.fixed else row)]
        for at, convert in self.converted:
            values[at] = convert(values[at])
        return tuple(values)


@lru_cache(maxsize=64)
def _prepare(many: Many, dialect: Dialect) -> _Prepared:
    statement = many.make(StatementRows(many.types, at_once=False), dialect.name)
    compiled: Any = statement.compile(dialect=dialect)
    names = compiled.positiontup
    converters = [compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    return _Prepared(
        sql=compiled.string,
        taken=itemgetter(*names),
        converted=tuple((at, convert) for at, convert in enumerate(converters) if convert is not None),
        fixed={name: value for name, value in compiled.params.items() if name not in many.types},
    )
