"""`firstline budget`: caps of jobs, tenants and days."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json, dollars_above_zero, finite
from firstline.schemas.errors import UserError

if TYPE_CHECKING:
    from firstline.orchestrator.money.budgets import Allowance

PANEL = "Jobs"
NOTED = ("--raise", "--per-day", "--total", "--off")


def budget(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The job whose cap is raised.")] = None,
    *,
    by_usd: Annotated[
        float | None,
        typer.Option("--raise", metavar="USD", callback=dollars_above_zero, help="Dollars to add to a job's cap."),
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Whose caps are set.")] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="Set caps of all tenants together.")] = False,
    per_day_usd: Annotated[
        float | None,
        typer.Option("--per-day", metavar="USD", min=0, max=1e9, callback=finite, help="Dollars a day, in UTC."),
    ] = None,
    total_usd: Annotated[
        float | None,
        typer.Option("--total", metavar="USD", min=0, max=1e9, callback=finite, help="Dollars in all."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Lift the caps.")] = False,
    as_json: Json = False,
) -> None:
    """Raise a job's cap, set those of tenants and days, or show them.

    A job that paused on a cap goes on by itself where workers run, once the cap is raised or its day is over.
    """
    whose = "*" if everyone else tenant
    if job is not None:
        _raise(job, by_usd, as_json=as_json)
    elif whose is not None:
        _set(whose, per_day_usd, total_usd, off=off, as_json=as_json)
    elif by_usd is not None or per_day_usd is not None or total_usd is not None or off:
        raise UserError("whose budget? Name a job, or give --tenant NAME or --everyone")
    else:
        _show(as_json=as_json)


def _raise(job: str, by_usd: float | None, *, as_json: bool) -> None:
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json
    from firstline.orchestrator.reports.formatting import dollars

    if by_usd is None:
        raise UserError(f"by how much? `firstline budget {job} --raise USD`; `firstline status {job}` shows its cap")
    with reachable_redis():
        api.raise_budget(job, by_usd)
    now = api.status(job)
    if as_json:
        show_json(now)
        return
    typer.echo(f"{job} may spend {dollars(now.budget_usd)}; {dollars(now.cost_usd)} is spent; it is {now.state.value}")
    if now.state.value == "paused":
        typer.echo(f"go on: firstline resume {job}")


def _set(tenant: str, per_day_usd: float | None, total_usd: float | None, *, off: bool, as_json: bool) -> None:
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis
    from firstline.orchestrator.money import budgets

    if not off and per_day_usd is None and total_usd is None:
        raise UserError("what may it spend? Give --per-day USD, --total USD or --off")
    with reachable_redis():
        if off:
            budgets.lift(api.engine(), tenant)
        if per_day_usd is not None or total_usd is not None:
            budgets.allow(api.engine(), tenant, per_day_usd=per_day_usd, total_usd=total_usd)
    _show(as_json=as_json)


def _show(*, as_json: bool) -> None:
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.money import budgets

    found = budgets.allowances(api.engine())
    if as_json:
        show_json(found)
    elif not found:
        typer.echo("no caps on tenants or days; `firstline budget --tenant NAME --per-day USD` sets one")
    else:
        columns = ("tenant", "today", "of", "in all", "of ")
        show_table(columns, (_row(one) for one in found), right=columns[1:])


def _row(one: "Allowance") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import dollars

    name = "(everyone)" if one.tenant == "*" else one.tenant
    today, total = (dollars(cap) if cap is not None else "no cap" for cap in (one.per_day_usd, one.total_usd))
    return name, dollars(one.spent_today_usd), today, dollars(one.spent_usd), total
