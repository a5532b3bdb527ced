"""`firstline bill`: the ledger beside a provider's own usage export."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Jobs"


def bill(
    provider: Annotated[str, typer.Option(help="The provider as models' names begin, such as `openai`.")],
    file: Annotated[
        Path | None, typer.Option(help="Its usage export (CSV); without it the ledger alone is shown.")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Compare what was booked with a provider's export, day by day and model by model; exit 1 where they differ."""
    from rich.table import Table

    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.money import bill as bills
    from firstline.orchestrator.reports.console import wide_console
    from firstline.orchestrator.reports.formatting import UNKNOWN, dollars

    span = {"since": since.date() if since else None, "until": until.date() if until else None}
    with api.engine().db.reading() as tx:
        ours = bills.ledger(tx, provider=provider, **span)
    theirs = ours if file is None else bills.read_export(file, **span)
    lines = bills.compared(ours, theirs)
    wrong = [line for line in lines if line.differences]
    if as_json:
        show_json(list(lines))
    else:
        table = Table("day", "model", "calls", "tokens in", "out", "cost", "", box=None, pad_edge=False)
        for line in lines:
            seen = line.ours or bills.Amount()
            counts = (seen.calls, seen.input_tokens, seen.output_tokens)
            figures = (UNKNOWN if count is None else f"{count:,}" for count in counts)
            words = "; ".join(line.differences) or ("" if file is None else "the same")
            table.add_row(f"{line.day}", line.model, *figures, dollars(seen.cost_usd), words)
        wide_console().print(table)
    raise typer.Exit(1 if wrong else 0)
