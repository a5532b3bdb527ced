"""`firstline review`: what waits for a person, and the person's word."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.orchestrator.engine.review import Question, ReviewOutcome
    from firstline.schemas.base import Json as JsonValue

PANEL = "Quality"
NOTED = ("answer", "reject")

app = typer.Typer(no_args_is_help=True, help="Answer what a policy sends to a person.")

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
Item = Annotated[str, typer.Argument(metavar="ITEM", help="The item's id.")]
Step = Annotated[str | None, typer.Option("--step", help="The step, where an item waits at several.")]
OneJob = Annotated[str | None, typer.Option("--job", "-j", metavar="JOB", help="Only this job.")]


@app.command("list")
def list_(job: OneJob = None, as_json: Json = False) -> None:
    """List what waits for a person, oldest first."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.engine import review

    found = review.waiting(api.engine(), job=job)
    if as_json:
        show_json(found)
    elif found:
        rows = [(one.job, one.item_id, one.step, one.reason) for one in found]
        show_table(("job", "item", "step", "why"), rows)
    else:
        typer.echo("nothing waits for a person")


@app.command()
def show(job: Job, item: Item, step: Step = None, as_json: Json = False) -> None:
    """Show what one item asks: its inputs, the form of the answer, and what models answered."""
    from firstline.orchestrator import api
    from firstline.orchestrator.engine import review

    _show(review.question(api.engine(), job=job, item_id=item, step=step), as_json=as_json)


@app.command()
def next(job: OneJob = None, as_json: Json = False) -> None:
    """Show what has waited longest; with --json, `null` when nothing waits."""
    from firstline.orchestrator import api
    from firstline.orchestrator.engine import review

    found = review.waiting(api.engine(), job=job, limit=1)
    if found:
        first = found[0]
        _show(review.question(api.engine(), job=first.job, item_id=first.item_id, step=first.step), as_json=as_json)
    else:
        typer.echo("null" if as_json else "nothing waits for a person")


@app.command()
def answer(
    job: Job,
    item: Item,
    value: Annotated[
        str, typer.Argument(metavar="JSON", help="The answer as JSON (a plain text for a text skill), or - for stdin.")
    ],
    *,
    step: Step = None,
    note: Annotated[str, typer.Option("--note", help="Why, for those who read the gold set.")] = "",
    as_json: Json = False,
) -> None:
    """Answer in the models' place: checked as theirs are, it settles the item and joins the skill's gold set."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis
    from firstline.orchestrator.engine import review

    text = sys.stdin.read() if value == "-" else value
    with reachable_redis():
        steering = api.engine()
        plain = review.question(steering, job=job, item_id=item, step=step).is_text
        read = text.strip() if plain else _json(text)
        _tell(review.answer(steering, job=job, item_id=item, value=read, step=step, note=note), as_json=as_json)


@app.command()
def reject(
    job: Job,
    item: Item,
    reason: Annotated[str, typer.Option("--reason", help="Why nobody can answer it.")],
    *,
    step: Step = None,
    as_json: Json = False,
) -> None:
    """Give an item up: it fails with this reason, the rest of its job goes on."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis
    from firstline.orchestrator.engine import review

    with reachable_redis():
        _tell(review.reject(api.engine(), job=job, item_id=item, reason=reason, step=step), as_json=as_json)


@app.command()
def gold(
    skill: Annotated[str | None, typer.Argument(metavar="[SKILL]", help="Only this skill's.")] = None,
    as_items: Annotated[
        bool, typer.Option("--items", help="As items: the skill's inputs, and the answer in `gold`.")
    ] = False,
) -> None:
    """Write the right answers that persons gave as JSON lines; with --items, to calibrate or compare with."""
    from firstline.orchestrator import api
    from firstline.orchestrator.engine import review

    for one in review.gold_set(api.engine(), skill=skill):
        line = {**one.input, "id": one.id, "gold": one.gold} if as_items else one.model_dump(mode="json")
        typer.echo(json.dumps(line, ensure_ascii=False))


def _json(text: str) -> "JsonValue":
    from firstline.schemas.errors import UserError
    from firstline.workers.rules.json_text import read_json

    try:
        return read_json(text)
    except ValueError as error:
        wanted = 'expected the answer as JSON, such as {"label": "billing"}'
        raise UserError(f"{wanted}, got {text[:80]!r}: {error}") from None


def _show(asked: "Question", *, as_json: bool) -> None:
    from firstline.orchestrator.cli._show import show_json

    if as_json:
        show_json(asked)
        return
    typer.echo(f"{asked.item_id} of job {asked.job}, step {asked.step}: {asked.reason or 'asked for a person'}")
    for name, value in asked.inputs.items():
        typer.echo(f"\n{name}:\n{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    typer.echo(f"\nform of the answer: {json.dumps(asked.output, ensure_ascii=False)}")
    for refused in asked.refused:
        said = refused.text if refused.value is None else json.dumps(refused.value, ensure_ascii=False)
        typer.echo(f"\n{refused.model} answered: {said}")
        for reason in refused.reasons:
            typer.echo(f"  - {reason}")
    typer.echo(f"\nanswer: firstline review answer {asked.job} {asked.item_id} JSON")


def _tell(said: "ReviewOutcome", *, as_json: bool) -> None:
    from firstline.orchestrator.cli._show import show_json

    if as_json:
        show_json(said)
        return
    goes_on = f"; its next step is asked (without workers: firstline resume {said.job})" if said.goes_on else ""
    typer.echo(f"{said.item_id} of job {said.job}, step {said.step}: {said.state}{goes_on}")
