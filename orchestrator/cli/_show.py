"""What commands print: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from firstline.orchestrator.run.runner import RunResult
    from firstline.schemas.base import Frozen
    from firstline.schemas.errors import UserError
    from firstline.schemas.job import JobStatus


def show_json(value: "Frozen | Sequence[Frozen]") -> None:
    """Print a value, or a list of values, as JSON."""
    if isinstance(value, Sequence):
        typer.echo(json.dumps([one.model_dump(mode="json") for one in value], indent=2, ensure_ascii=False))
    else:
        typer.echo(value.model_dump_json(indent=2))


def show_fields(as_json: bool, text: str, **fields: object) -> None:
    """Print what a command did: a sentence for people, or its fields as JSON."""
    typer.echo(json.dumps(fields, indent=2, default=str) if as_json else text)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings; the columns in `right` hold numbers."""
    from rich.table import Table

    from firstline.orchestrator.reports.console import wide_console

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    wide_console().print(table)


def finish(
    finished: "RunResult | None", *, as_json: bool, out: str | None, job: str | None = None, fail_over: float = 1.0
) -> None:
    """Print how a run ended; exits with 1 when its job did not get to its end, settled nothing or failed too much.

    None: `job` goes on elsewhere. `fail_over` is the share of items that may fail.
    """
    from firstline.schemas.job import JobState

    if finished is None:
        typer.echo(f"job {job} goes on; watch it: firstline watch {job}", err=True)
        return
    if as_json:
        show_json(finished.report)
    else:
        from firstline.orchestrator.reports.console import wide_console
        from firstline.orchestrator.reports.report_text import print_report

        print_report(finished.report, wide_console(stderr=out == "-"))
        if out and out != "-":
            from firstline.orchestrator.results.outlet import shown_out

            typer.echo(f"results: {shown_out(out)}")
    status = finished.status
    if status.state is JobState.PAUSED:
        why = f" ({status.reason})" if status.reason else ""
        typer.echo(f"job {status.job} is paused{why}; go on: firstline resume {status.job}", err=True)
    if status.state is not JobState.DONE or _failed_too_much(status, fail_over):
        raise typer.Exit(1)


def _failed_too_much(status: "JobStatus", fail_over: float) -> bool:
    from firstline.orchestrator.reports.formatting import count, percent

    if status.came_to_nothing:
        reasons = f"; see why: firstline failures --job {status.job}, firstline results {status.job}"
        typer.echo(f"nothing settled: {status.failed:,} of {count(status.items, 'item')} failed{reasons}", err=True)
        return True
    if status.items and status.failed / status.items > fail_over:
        share = percent(status.failed / status.items)
        typer.echo(
            f"{status.failed:,} of {count(status.items, 'item')} failed ({share}): more than --fail-over", err=True
        )
        return True
    return False


def unchanged(job: str, wanted: str) -> "UserError":
    """Return the error for a job that could not be `wanted`: it is in no state for that."""
    from firstline.orchestrator import api
    from firstline.schemas.errors import UserError

    now = api.status(job)
    ended = f"; `firstline retry {job}` tries failed items again" if now.state.ended and now.failed else ""
    return UserError(f"job {job} is {now.state_in_words}; it cannot be {wanted}{ended}")


@contextmanager
def reachable_redis() -> Iterator[None]:
    """Let this process talk to the Redis of a run in another terminal, if one is under way."""
    from firstline.config.settings import get_settings
    from firstline.orchestrator.run.embedded import running_redis, using_redis

    url = running_redis(get_settings())
    if url is None:
        yield
        return
    with using_redis(url):
        yield
