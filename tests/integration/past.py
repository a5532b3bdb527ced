"""A deployment's past: one job and all that belongs to it, copied many times within the database."""

from sqlalchemy import Column, Connection, Table, text
from sqlmodel import SQLModel

from firstline.orchestrator.store.types import UtcDateTime

#: What stands in a column of a copy: of the j-th job, among its items' m-th part; by table and column, or by column.
_COPIED = {
    ("job", "id"): "'past-' || j",
    ("item", "n"): "{of} + m * {items}",
    ("subtask", "item"): "{of} + m * {items}",
    ("attempt", "item"): "{of} + m * {items}",
    ("audit", "item"): "{of} + m * {items}",
    ("shard", "n"): "{of} + m",
    ("shard", "lo"): "{of} + m * {items}",
    ("shard", "hi"): "{of} + m * {items}",
    ("batch", "id"): "{of} || '-' || j || '-' || m",
    ("batch", "parent"): "{of} || '-' || j || '-' || m",
    ("batch", "shard"): "{of} + m",
    "job": "'past-' || j",
    "tenant": "CASE WHEN j % 2 = 0 THEN 'other' ELSE {of} END",
    "skill_digest": "CASE WHEN j > 10 THEN {of} || '-' || j % 10 ELSE {of} END",
    "idempotency_key": "NULL",
}


def multiply(tx: Connection, *, job: str, items: int, jobs: int, times: int) -> None:
    """Copy a job of so many `items` in one shard into `jobs` others, a day apart, each of `times` as many items.

    Every second copy is the tenant `other`'s, and all but the first few were made with other versions of their skills.
    PostgreSQL only, which is told how much there is now, and left with that: what it would find out by itself in the
    middle of a test, of the few jobs that came since, changes its plans in one run and not in the next.
    """
    for table in SQLModel.metadata.sorted_tables:
        whose, parts = ("id", 1) if table.name == "job" else ("job", times)
        if whose in table.c:
            columns = {column.name: _copied(table, column, items) for column in table.c if not _counts_itself(column)}
            names = ", ".join(f'"{name}"' for name in columns)
            tx.execute(
                text(
                    f'INSERT INTO "{table.name}" ({names}) SELECT {", ".join(columns.values())} '
                    f'FROM "{table.name}" AS row, '
                    f"generate_series(1, {jobs}) AS j, generate_series(0, {parts - 1}) AS m "
                    f"WHERE row.{whose} = :source ORDER BY j, m"
                ),
                {"source": job},
            )
        tx.execute(text(f'ALTER TABLE "{table.name}" SET (autovacuum_enabled = false)'))
    tx.execute(text("ANALYZE"))


def _copied(table: Table, column: Column[object], items: int) -> str:
    earlier = "{of} - j * interval '1 day'" if isinstance(column.type, UtcDateTime) else "{of}"
    form = _COPIED.get((table.name, column.name)) or _COPIED.get(column.name, earlier)
    return form.format(of=f'row."{column.name}"', items=items)


def _counts_itself(column: Column[object]) -> bool:
    return bool(column.primary_key) and column is column.table.autoincrement_column
