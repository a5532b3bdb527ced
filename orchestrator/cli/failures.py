"""`firstline failures`: the answers that were not accepted, and why."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.schemas.failure import Cause, Failure

PANEL = "Quality"


def failures(
    *,
    skill: Annotated[str | None, typer.Option("--skill", "-s", help="Only this skill's.")] = None,
    job: Annotated[str | None, typer.Option("--job", "-j", metavar="JOB", help="Only this job's.")] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Group them into causes.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="How many, newest first (20; all for --cluster).")
    ] = None,
    as_json: Json = False,
) -> None:
    """List rejected answers: by which prompt version and model, why, and what happened next."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.reports.failures import LOOKED_AT, causes, read_failures, refuse_unknown_skill

    if skill is not None:
        refuse_unknown_skill(api.engine(), skill)
    found = read_failures(api.engine(), skill=skill, job=job, limit=limit or (LOOKED_AT if cluster else 20))
    grouped = causes(found) if cluster else []
    if as_json:
        show_json(grouped if cluster else found)
    elif not found:
        typer.echo("no answer was rejected")
    elif cluster:
        columns = ("failures", "mended", "skill", "check", "why", "models", "such as")
        show_table(columns, map(_cause_row, grouped), right=("failures", "mended"))
    else:
        show_table(("job / item", "skill", "tier", "model", "why", "then"), map(_row, found))


def _row(one: "Failure") -> tuple[object, ...]:
    why = "; ".join(f"{check}: {reason}" for check, reason in zip(one.checks, one.reasons, strict=False))
    skill = f"{one.skill} v{one.skill_version}"
    return (f"{one.job} / {one.item_id}", skill, one.tier, one.model, why or _error(one), one.then)


def _error(one: "Failure") -> str:
    kind, reason = f"{one.error}: ", one.reasons[0]
    return kind + reason.removeprefix(kind)


def _cause_row(one: "Cause") -> tuple[object, ...]:
    skill = f"{one.skill} v{', v'.join(map(str, one.versions))}"
    models = ", ".join(f"{model} {count}" for model, count in one.models.items())
    return (one.count, one.mended, skill, one.check, one.reason, models, ", ".join(one.examples))
