"""Results as they are: a JSON line or a CSV row for each, its output one value."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from firstline.config.errors.error_messages import unknown
from firstline.orchestrator.results.cells import cell, harmless
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult
from firstline.workers.rules.json_paths import MISSING, dig


class ResultFormat(StrEnum):
    """How results are written."""

    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """How a CSV (or a workbook) is written."""

    #: Cells as they are, although a spreadsheet may take them for formulas.
    raw: bool = False
    #: With the mark by which Excel knows UTF-8.
    bom: bool = False


def parse_fields(text: str | None) -> tuple[str, ...]:
    """Return the fields that `item_id,output.label` names; UserError for one that no result has."""
    named = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for name in named:
        if name.partition(".")[0] not in ItemResult.model_fields:
            raise UserError(unknown("field of a result", name, list(ItemResult.model_fields)))
    return named


def lines(
    results: Iterable[ItemResult], kind: ResultFormat, style: CsvStyle = CsvStyle(), fields: Sequence[str] = ()
) -> Iterator[str]:
    """Yield results as the lines of a file, a CSV's header first."""
    if kind is ResultFormat.JSONL:
        yield from (f"{_json(result, fields)}\n" for result in results)
        return
    line = io.StringIO()
    writer = csv.DictWriter(line, fieldnames=fields or list(ItemResult.model_fields))
    writer.writeheader()
    yield "\ufeff" * style.bom + _taken(line)
    for result in results:
        cells = {name: cell(value) for name, value in picked(result, fields).items()}
        writer.writerow(cells if style.raw else {name: harmless(value) for name, value in cells.items()})
        yield _taken(line)


def picked(result: ItemResult, fields: Sequence[str]) -> dict[str, Json]:
    """Return these fields of a result (none: all); what a path does not lead to is null."""
    whole = result.model_dump(mode="json")
    found = {name: dig(whole, name) for name in fields or ItemResult.model_fields}
    return {name: None if value is MISSING else value for name, value in found.items()}


def _json(result: ItemResult, fields: Sequence[str]) -> str:
    return json.dumps(picked(result, fields), ensure_ascii=False) if fields else result.model_dump_json()


def _taken(line: io.StringIO) -> str:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text
