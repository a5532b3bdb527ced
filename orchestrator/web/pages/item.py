"""One item: every attempt side by side, with what was checked and why it climbed; and another model's word on it."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.experiments.ask_again import ask_again, offers, second_answers, take
from firstline.orchestrator.reports.item_history import AttemptLine, held_against_truth, prompts_of, story_of
from firstline.orchestrator.web.access import find_job
from firstline.orchestrator.web.parameters import NAME, ItemNumber, JobId
from firstline.orchestrator.web.session import FormOperator, PageJob, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.plan import step_of, subtask_label

router = APIRouter()


@router.get("/jobs/{job}/items/{item}")
def show_item(request: Request, job: PageJob, item: ItemNumber) -> Response:
    """Show an item's story."""
    with api.engine().db.reading() as tx:
        story = story_of(tx, job=job, n=item)
        parsed = api.engine().job(tx, job)
        seconds = second_answers(tx, parsed, story)
    waits = {one.job: one.waits_for for one in api.explained(one.job for one in seconds)}
    known = {subtask.step for subtask in story.subtasks}
    places = {planned.step.name: place for place, planned in enumerate(parsed.plan.steps)}
    shown = [name for name in known if step_of(name) in places]
    # An element's number, as it is counted: the tenth comes behind the second.
    ordered = sorted(shown, key=lambda name: (places[step_of(name)], len(name), name))
    steps: dict[str, list[AttemptLine]] = {name: [] for name in ordered}
    for attempt in story.attempts:
        steps.setdefault(attempt.step, []).append(attempt)
    subtasks = {subtask.step: subtask for subtask in story.subtasks}
    return render(
        request,
        "item.html",
        job=job,
        job_name=parsed.name,
        story=story,
        by_step=steps,
        label=subtask_label,
        subtasks=subtasks,
        ladder=parsed.ladder,
        prompts=prompts_of(parsed, story),
        held=held_against_truth(parsed, story),
        seconds=seconds,
        waits=waits,
    )


@router.get("/jobs/{job}/items/{item}/again")
def show_offers(
    request: Request, job: PageJob, item: ItemNumber, step: Annotated[str, Query(pattern=NAME)]
) -> Response:
    """Show which models may be asked about a step again, and what each is expected to cost."""
    with api.engine().db.reading() as tx:
        found = offers(tx, api.engine().job(tx, job), story_of(tx, job=job, n=item), step)
    return render(request, "parts/again.html", job=job, item=item, step=step, offers=found)


@router.post("/jobs/{job}/items/{item}/again")
def ask(
    job: JobId,
    item: ItemNumber,
    visitor: FormOperator,
    step: Annotated[str, Form(pattern=NAME)],
    model: Annotated[str, Form(max_length=300)],
) -> Response:
    """Ask another model about a step; its answer comes beside the item's own."""
    ask_again(find_job(job, visitor), item, step=step, model=model, role=visitor.role)
    return go(f"/jobs/{job}/items/{item}#at-{step}")


@router.post("/jobs/{job}/items/{item}/take")
def take_answer(
    job: JobId, item: ItemNumber, visitor: FormOperator, answer: Annotated[str, Form(pattern=NAME)]
) -> Response:
    """Let another model's answer stand in place of the item's own."""
    take(find_job(job, visitor), item, answer=answer, by=visitor.name)
    return go(f"/jobs/{job}/items/{item}")
