"""Data frames of any library that narwhals knows (pandas, polars, Arrow): rows as items, results as columns."""

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from firstline.orchestrator.results.flat import OWN, Kind, flat
from firstline.orchestrator.results.table_files import needed, plain
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult


def frame_of(rows: Any) -> Any | None:
    """Return a data frame as narwhals has it; None: these rows are none, or of no library that it knows."""
    if not (hasattr(rows, "columns") or hasattr(rows, "column_names")):
        return None
    narwhals = needed("narwhals")
    found = narwhals.from_native(rows, pass_through=True)
    if isinstance(found, narwhals.LazyFrame):
        raise UserError("expected a data frame with its rows in it, got a lazy one: collect it first")
    return found if isinstance(found, narwhals.DataFrame) else None


def items_of(frame: Any) -> list[JsonObject]:
    """Return a frame's rows as items: numbers, texts and what JSON has besides; times as ISO 8601 has them."""
    return [{str(name): _json(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]


def _json(value: Any) -> Json:
    if hasattr(value, "tolist"):
        value = value.tolist()
    found: Json
    match value:
        case float() if math.isnan(value):
            found = None
        case None | bool() | int() | float() | str():
            found = value
        case Decimal():
            found = int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            # pandas' word for no time is a datetime, too.
            found = None if str(value) == "NaT" else value.isoformat()
        case timedelta():
            found = value.total_seconds()
        case dict():
            found = {str(name): _json(one) for name, one in value.items()}
        case list() | tuple():
            found = [_json(one) for one in value]
        case _:
            raise UserError(f"expected numbers, texts, times, lists and objects in a frame, got {type(value).__name__}")
    return found


def with_results(frame: Any, results: Sequence[ItemResult]) -> Any:
    """Return the frame as it came, of its own library, with a column for each field of the output and what it is worth.

    A column whose name the frame has gets `output.` or `result.` before it.
    """
    narwhals = needed("narwhals")
    types: dict[Kind | None, Any] = {
        Kind.BOOL: narwhals.Boolean,
        Kind.INT: narwhals.Int64,
        Kind.FLOAT: narwhals.Float64,
    }
    own: JsonObject = dict.fromkeys(map(str, frame.columns))
    with flat((own, result) for result in results) as table:
        rows = list(table.rows())
    added = []
    for place, column in enumerate(table.columns):
        if column.group == OWN:
            continue
        values = [plain(column, row[place]) for row in rows]
        # Where pandas has no missing value for a type, it chooses one that has.
        is_whole = None not in values or not frame.implementation.is_pandas_like()
        dtype = types.get(column.kind, narwhals.String) if is_whole else None
        added.append(narwhals.new_series(column.name, values, dtype, backend=frame.implementation))
    return frame.with_columns(*added).to_native()
