"""How a plan is shown."""

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from firstline.orchestrator.cli._show import show_json, show_table

if TYPE_CHECKING:
    from firstline.orchestrator.reports.plan_text import PlanLine, PlanView
    from firstline.orchestrator.run.plan_approval import PlanDraft

_COLUMNS = ("step", "kind", "does", "starts on", "after", "when", "calls", "cost", "why")


def is_job(target: str) -> bool:
    """Whether an argument has the form of a job's id."""
    return re.fullmatch(r"\d{4}-[0-9a-f]{8}", target) is not None


def yes_to(*, asking: bool, as_json: bool) -> "Callable[[PlanDraft], bool]":
    """Return what shows a plan and asks for a yes to it, if there is somebody to ask."""

    def yes(planned: "PlanDraft") -> bool:
        show_plan(planned, as_json=as_json)
        return asking and sys.stdin.isatty() and typer.confirm("Run this plan?", err=True)

    return yes


def tell_it_waits(job: str | None) -> None:
    """Say how a plan that waits for a yes gets it."""
    typer.echo(f"nothing but the planning was spent; run it: firstline approve {job}", err=True)


def show_plan(planned: "PlanDraft", *, as_json: bool) -> None:
    """Print a plan with its estimated cost."""
    view = planned.view
    if as_json:
        show_json(view)
        return
    typer.echo(_heading(view))
    show_table(_COLUMNS, map(_row, view.steps), right=("calls", "cost"))
    for line in view.passed_by:
        typer.echo(line)
    typer.echo(_cost(view))
    typer.echo(f"\n```mermaid\n{view.mermaid}\n```")


def _heading(view: "PlanView") -> str:
    job = f" ({view.job}): {view.state}" if view.job else ""
    return "\n".join([f"{view.name}{job}", *([view.goal] if view.goal else [])])


def _row(line: "PlanLine") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import dollars

    cost = "unknown" if line.cost_usd is None else dollars(line.cost_usd)
    return (
        line.step,
        line.kind,
        line.does,
        line.tier,
        ", ".join(line.after),
        line.when,
        f"{line.calls:,}",
        cost,
        line.why,
    )


def _cost(view: "PlanView") -> str:
    from firstline.orchestrator.reports.formatting import count, dollars

    cost = "unknown, as a model has no price" if view.cost_usd is None else f"about {dollars(view.cost_usd)}"
    if view.low_usd is not None:
        cost += f" (95%: {dollars(view.low_usd)} to {dollars(view.high_usd)})"
    if view.above_top:
        cost += f", more than the {dollars(view.frontier_usd)} of the top tier alone"
    spent = f"; spent so far {dollars(view.spent_usd)}" if view.spent_usd else ""
    return f"estimated for {count(view.items, 'item')}: {cost}{spent}"
