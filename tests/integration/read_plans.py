"""What PostgreSQL means to do for every statement that this process asks of it, seen while it is asked."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event, text

#: Times that one statement's plan is asked for: it may differ with its parameters.
_LOOKS = 3
_EXPLAINED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_FIRST_COLUMNS = text(
    "SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1"
)


@dataclass
class ReadPlans:
    """Finds statements that read one of these tables, or an index of it, from end to end."""

    tables: Sequence[str]
    #: Parts of statements that may, their white space as one blank.
    meant: Sequence[str] = ()
    #: What is done at the moment, in words.
    doing: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    #: What was done, the table and the statement.
    found: list[tuple[str, str, str]] = field(default_factory=list)
    _first_columns: dict[str, str] = field(default_factory=dict)

    def learn(self, tx: Connection) -> None:
        """Read how the database's indexes begin."""
        self._first_columns = {row.relname: row.attname for row in tx.execute(_FIRST_COLUMNS)}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at every statement of the block, whichever connection it takes."""
        event.listen(Engine, "before_cursor_execute", self._look)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", self._look)

    def _look(
        self, _engine: object, cursor: Any, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        if not _EXPLAINED.match(statement) or self.seen[statement] >= _LOOKS:
            return
        self.seen[statement] += 1
        with cursor.connection.cursor() as beside:
            beside.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters[0] if many else parameters)
            ((plan,),) = beside.fetchone()
        asked = " ".join(statement.split())
        if not any(part in asked for part in self.meant):
            self.found += [(self.doing, table, asked) for table in self._read_whole(plan["Plan"], limited=False)]

    def _read_whole(self, node: Mapping[str, Any], *, limited: bool) -> Iterator[str]:
        table, index = node.get("Relation Name"), node.get("Index Name")
        limited = limited or node["Node Type"] == "Limit"
        if node["Node Type"] == "Seq Scan" and table in self.tables:
            yield table
        # An index helps where its first column is known, or where the first few in its order are enough.
        if index is not None and not limited and self._is_whole(index, node.get("Index Cond", "")):
            yield from (one for one in self.tables if index.startswith(one) or table == one)
        for child in node.get("Plans", ()):
            yield from self._read_whole(child, limited=limited)

    def _is_whole(self, index: str, condition: str) -> bool:
        return re.search(rf"\b{self._first_columns.get(index, '')}\b", condition) is None
