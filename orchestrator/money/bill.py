"""The ledger beside a provider's own usage export: day by day and model by model, with what does not match."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import computed_field
from sqlalchemy import Connection

from firstline.orchestrator.store import views
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

#: What exports call a figure, the most exact name first.
_DAYS = ("date", "day", "start_time_iso", "usage_date_utc", "usage_date", "start_time", "timestamp")
_MODELS = ("model", "model_version", "snapshot_id", "line_item", "model_name")
_CALLS = ("num_model_requests", "n_requests", "requests", "calls")
_OUTPUT = ("output_tokens", "n_generated_tokens_total", "completion_tokens", "usage_output_tokens")
_COSTS = ("amount_value", "cost_usd", "cost", "amount")
#: Input tokens are one column, or several that add up (Anthropic's: what was and was not in the cache).
_INPUTS = (
    ("input_tokens",),
    ("n_context_tokens_total",),
    ("prompt_tokens",),
    (
        "usage_input_tokens_no_cache",
        "usage_input_tokens_cache_write_5m",
        "usage_input_tokens_cache_write_1h",
        "usage_input_tokens_cache_read",
    ),
)
#: The date that a snapshot's name ends with.
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")
#: Dollars that two sums may differ by: providers round to the cent or the hundredth of it.
_ROUNDING_USD = 0.01


class Amount(Frozen):
    """What one side counts of a day and a model; None: it does not say."""

    calls: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class BillLine(Frozen):
    """One day of one model on both sides."""

    day: date
    model: str
    #: None: that side knows of no call.
    ours: Amount | None = None
    theirs: Amount | None = None

    @computed_field  # type: ignore[prop-decorator] # pydantic's own way
    @property
    def differences(self) -> tuple[str, ...]:
        """What does not match, in words; figures that one side does not say are not compared."""
        if self.ours is None or self.theirs is None:
            return ("not in the export",) if self.theirs is None else ("not in the ledger",)
        return tuple(_differences(self.ours, self.theirs))


def ledger(tx: Connection, *, provider: str, since: date | None, until: date | None) -> dict[tuple[date, str], Amount]:
    """Return what attempts of a provider's models say, by day (UTC) and model; both days are included."""
    found = {}
    for row in views.billed(tx, provider=provider):
        day = date.fromisoformat(str(row["day"])[:10])
        if (since is None or day >= since) and (until is None or day <= until):
            cost_usd = None if row["priced"] < row["calls"] else float(row["cost_usd"])
            found[day, _bare(row["model"])] = Amount(
                calls=row["calls"],
                input_tokens=row["input_tokens"],
                output_tokens=row["output_tokens"],
                cost_usd=cost_usd,
            )
    return found


def compared(
    ours: Mapping[tuple[date, str], Amount], theirs: Mapping[tuple[date, str], Amount]
) -> tuple[BillLine, ...]:
    """Return a line for each day and model that either side knows."""
    keys = sorted({*ours, *theirs})
    return tuple(
        BillLine(day=day, model=model, ours=ours.get((day, model)), theirs=theirs.get((day, model)))
        for day, model in keys
    )


def read_export(path: Path, *, since: date | None, until: date | None) -> dict[tuple[date, str], Amount]:
    """Read a provider's usage export (CSV); UserError where it lacks days or models."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}; expected a provider's usage export as CSV") from None
    if not rows:
        raise UserError(f"{path}: expected rows of usage, got none")
    day, model = _column(path, rows[0], _DAYS, "a day"), _column(path, rows[0], _MODELS, "a model")
    groups: dict[tuple[date, str], list[Mapping[str, str]]] = defaultdict(list)
    for number, row in enumerate(rows, 2):
        at = _day(path, number, row[day])
        if (since is None or at >= since) and (until is None or at <= until):
            groups[at, _bare(row[model])].append(row)
    return {key: _amount(group) for key, group in groups.items()}


def _amount(rows: Sequence[Mapping[str, str]]) -> Amount:
    inputs = next((names for names in _INPUTS if all(name in rows[0] for name in names)), ())
    cost_usd = _sum(rows, _named(rows[0], _COSTS))
    return Amount(
        calls=_whole(_sum(rows, _named(rows[0], _CALLS))),
        input_tokens=_whole(_sum(rows, inputs)),
        output_tokens=_whole(_sum(rows, _named(rows[0], _OUTPUT))),
        cost_usd=cost_usd,
    )


def _named(row: Mapping[str, str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in row)[:1]


def _sum(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> float | None:
    """Return the sum of columns; None where there are none."""
    if not names:
        return None
    return sum(float(row[name] or 0) for row in rows for name in names)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _column(path: Path, row: Mapping[str, str], names: Sequence[str], what: str) -> str:
    found = _named(row, names)
    if not found:
        raise UserError(f"{path}: expected a column with {what} ({', '.join(names)}), got {', '.join(row)}")
    return found[0]


def _day(path: Path, number: int, value: str) -> date:
    try:
        if value.isdigit():
            return datetime.fromtimestamp(int(value), UTC).date()
        return date.fromisoformat(value[:10])
    except ValueError:
        raise UserError(f"{path}: line {number}: expected a day such as 2026-11-29, got {value!r:.40}") from None


def _bare(model: str) -> str:
    """Return a model's name without provider, kind of token and the date of its snapshot."""
    name = model.partition(",")[0].strip()
    return _SNAPSHOT.sub("", name.partition("/")[2] or name)


def _differences(ours: Amount, theirs: Amount) -> Iterator[str]:
    for name, words in (("calls", "calls"), ("input_tokens", "input tokens"), ("output_tokens", "output tokens")):
        mine, their = getattr(ours, name), getattr(theirs, name)
        if mine is not None and their is not None and mine != their:
            yield f"{words}: {mine:,} here, {their:,} there"
    if theirs.cost_usd is None:
        return
    if ours.cost_usd is None:
        yield f"cost: unknown here, ${theirs.cost_usd:,.4f} there"
    elif abs(ours.cost_usd - theirs.cost_usd) > _ROUNDING_USD:
        yield f"cost: ${ours.cost_usd:,.4f} here, ${theirs.cost_usd:,.4f} there"
