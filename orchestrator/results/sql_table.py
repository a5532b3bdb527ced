"""Results as rows of a database's table: made where it is missing, an item's row put in place of its earlier one."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    inspect,
)
from sqlalchemy.types import TypeEngine

from firstline.orchestrator.results.flat import TOLD, Kind
from firstline.orchestrator.results.flat import Table as FlatTable
from firstline.orchestrator.results.table_files import plain
from firstline.orchestrator.store.own_database import is_database, opened, shown, split
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError

_ROWS_AT_ONCE = 500
_ID_CHARS = 255
_TYPES: dict[Kind | None, TypeEngine[Any]] = {Kind.BOOL: Boolean(), Kind.INT: BigInteger(), Kind.FLOAT: Double()}


def names_table(out: str) -> bool:
    """Return whether results go to a database: to a URL with `?table=NAME`; UserError for one without."""
    if not is_database(out):
        return False
    if not split(out, "table")[1]:
        raise UserError(f"--out {shown(out)}: expected the table's name at its end, such as {shown(out)}?table=answers")
    return True


def check_table(out: str) -> None:
    """Raise a UserError when the database cannot be reached; writes nothing."""
    with opened(split(out, "table")[0], writes=False) as tx:
        inspect(tx)


def write_table(table: FlatTable, out: str) -> None:
    """Write a table's rows, all of them or none; rows of the same `item_id` that are there already go.

    UserError where a table of that name lacks one of the columns.
    """
    address, name = split(out, "table")
    with opened(address, writes=True) as tx:
        made = _made(tx, table, str(name))
        key = made.c[_key(table)]
        rows = table.rows()
        while chunk := list(islice(_typed(table, rows), _ROWS_AT_ONCE)):
            tx.execute(delete(made).where(key.in_([row[key.name] for row in chunk])))
            tx.execute(made.insert(), chunk)


def _key(table: FlatTable) -> str:
    return next(column.name for column in table.columns if column.key == f"2{TOLD[0]}")


def _typed(table: FlatTable, rows: Iterator[list[Json]]) -> Iterator[dict[str, object]]:
    for row in rows:
        yield {column.name: plain(column, value) for column, value in zip(table.columns, row, strict=True)}


def _made(tx: Connection, table: FlatTable, name: str) -> Table:
    schema, _, bare = name.rpartition(".")
    columns = [
        Column(one.name, String(_ID_CHARS), primary_key=True)
        if one.name == _key(table)
        else Column(one.name, _TYPES.get(one.kind, Text()))
        for one in table.columns
    ]
    made = Table(bare, MetaData(), *columns, schema=schema or None)
    if not inspect(tx).has_table(bare, schema=schema or None):
        made.create(tx)
        return made
    there = {column["name"]: column["type"] for column in inspect(tx).get_columns(bare, schema=schema or None)}
    if missing := [column.name for column in columns if column.name not in there]:
        raise UserError(
            f"the table {name} has no column {', '.join(missing[:10])}; add what is missing, or name another table"
        )
    for one in table.columns:
        if one.kind is Kind.FLOAT and isinstance(there[one.name], Integer):
            raise UserError(
                f"the column '{one.name}' of the table {name} holds whole numbers, and there are others now; change "
                "its type, or name another table"
            )
    return made
