"""`firstline workers`: which processes live, what waits in which queue, which models are left alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.orchestrator.monitoring.deployment import Deployment, Queue
    from firstline.orchestrator.monitoring.live_workers import LiveWorker
    from firstline.orchestrator.monitoring.model_health import ModelHealth

PANEL = "Processes"


def workers(
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-p", metavar="NAME", help="Whose models; FIRSTLINE_PROFILE when missing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show worker processes, queues with what waits in them, and models with cool-downs and limits in use.

    Exit code 1 where nothing is led by an orchestrator, or a queue has work that no worker serves.
    """
    from firstline.config.catalogue.catalogue import load_catalogue
    from firstline.config.settings import get_settings
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json
    from firstline.orchestrator.monitoring.deployment import deployment
    from firstline.orchestrator.monitoring.snapshot import Lookout
    from firstline.schemas.errors import UserError

    ladder = load_catalogue().profile(profile or get_settings().profile)
    with reachable_redis():
        if get_settings().redis_url is None:
            raise UserError("no processes: FIRSTLINE_REDIS_URL is not set and no `firstline run` is under way here")
        found = deployment(api.engine(), Lookout(api.engine, lambda: ladder), ladder)
    if as_json:
        show_json(found)
    else:
        _show(found)
    if not found.led or found.unserved:
        raise typer.Exit(1)


def _show(found: "Deployment") -> None:
    from firstline.orchestrator.cli._show import show_table

    typer.echo(LED[found.led])
    if found.workers:
        columns = ("worker", "queues", "batches", "of", "jobs", "last heard of", "")
        show_table(columns, map(_worker, found.workers), right=columns[2:4])
    else:
        typer.echo("no worker is alive; start one: firstline worker --tier NAME")
    typer.echo("")
    columns = ("queue", "tier", "workers", "messages", "subtasks waiting", "running", "oldest waits")
    show_table(columns, map(_queue, found.queues), right=columns[2:])
    typer.echo("")
    columns = ("tier", "model", "", "in flight", "requests/min", "tokens/min", "next call in")
    show_table(columns, map(_model, found.models), right=columns[3:])


#: What is said of the orchestrators.
LED = {
    True: "an orchestrator leads",
    False: "no orchestrator is alive: nothing begins; start one: firstline orchestrator",
    None: "Redis could not be asked",
}


def _worker(one: "LiveWorker") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import seconds

    state = "stopping" if one.stopping else ""
    heard = f"{seconds(one.silent_s)} ago"
    return one.worker, ", ".join(one.queues), one.batches, one.threads, ", ".join(one.jobs[:3]), heard, state


def _queue(one: "Queue") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import seconds

    waits = "" if one.oldest_s is None else seconds(one.oldest_s)
    return one.queue, one.tier or "", _known(one.workers), _known(one.messages), one.queued, one.running, waits


def _model(one: "ModelHealth") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import seconds

    state = "ready"
    if one.cooling_until is not None:
        state = f"left alone until {one.cooling_until:%H:%M:%S} UTC after {one.cooling_after or 'faults'}"
    in_flight = "" if one.in_flight_limit is None else f"{one.in_flight or 0} of {one.in_flight_limit}"
    waits = seconds(one.wait_s) if one.wait_s > 0.05 else "now"
    return one.tier, one.model, state, in_flight, _limit(one.requests_per_minute), _limit(one.tokens_per_minute), waits


def _limit(per_minute: float | None) -> str:
    return "" if per_minute is None else f"{per_minute:,g}"


def _known(number: int | None) -> str:
    from firstline.orchestrator.reports.formatting import UNKNOWN

    return UNKNOWN if number is None else f"{number:,}"
