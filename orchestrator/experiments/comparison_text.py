"""A comparison for people: tables in the terminal, and one page to send to a colleague."""

import json
from pathlib import Path

from firstline.orchestrator.experiments.comparison import said_share
from firstline.orchestrator.reports.formatting import UNKNOWN, dollars, percent, seconds
from firstline.schemas.base import Json
from firstline.schemas.comparison import Candidate, ComparedItem, Comparison, Output, Share

_TEMPLATES = Path(__file__).parent / "templates"
_BRIEF_CHARS = 60


def candidate_columns(comparison: Comparison) -> tuple[str, ...]:
    """Return the headings of the table of models."""
    quality = ("right",) if comparison.gold else ()
    return ("model", *quality, "agrees", "$ / 1,000 items", "p50", "p95", "malformed", "failed", "errors")


def candidate_row(one: Candidate, comparison: Comparison) -> tuple[str, ...]:
    """Return one model's row."""
    quality = (shown_share(one.accuracy),) if comparison.gold else ()
    agrees = "the reference" if one.model == comparison.reference else shown_share(one.agreement)
    return (
        one.model,
        *quality,
        agrees,
        dollars(one.usd_per_1000_items),
        seconds(one.latency_s.p50),
        seconds(one.latency_s.p95),
        percent(one.malformed_rate),
        str(one.failed),
        ", ".join(f"{kind} {count}" for kind, count in one.errors.items()),
    )


def shown_share(counted: Share | None) -> str:
    """Return a share in percent and in words; a dash where there is none."""
    return UNKNOWN if counted is None else f"{percent(counted.right / counted.of)} ({said_share(counted)})"


def item_row(row: ComparedItem, comparison: Comparison, *, chars: int = _BRIEF_CHARS) -> tuple[str, ...]:
    """Return one item's row: its id, the outputs with a mark, the gold."""
    outputs = [brief_output(row.outputs[one.model], chars=chars) for one in comparison.candidates]
    gold = (_brief(row.gold, chars),) if comparison.gold else ()
    return (row.item_id, *outputs, *gold)


def brief_output(output: Output, *, chars: int) -> str:
    """Return an output with its mark: right, wrong, or neither."""
    mark = {True: "+ ", False: "- ", None: ""}[output.right]
    return mark + (f"({output.failure})" if output.failure else _brief(output.value, chars))[:chars]


def _brief(value: Json, chars: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= chars else f"{line[: chars - 1]}…"


def render_page(comparison: Comparison) -> str:
    """Return the comparison as one HTML page that needs nothing else."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["text"] = _text
    return environment.get_template("comparison.html").render(
        comparison=comparison,
        columns=candidate_columns(comparison),
        lines=[candidate_row(one, comparison) for one in comparison.candidates],
        percent=percent,
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
