"""One item: every attempt side by side, with what was checked and why it climbed."""

from fastapi import APIRouter, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.reports.item_history import AttemptLine, held_against_truth, prompts_of, story_of
from firstline.orchestrator.web.parameters import ItemNumber
from firstline.orchestrator.web.session import PageJob
from firstline.orchestrator.web.templating import render
from firstline.schemas.plan import step_of, subtask_label

router = APIRouter()


@router.get("/jobs/{job}/items/{item}")
def show_item(request: Request, job: PageJob, item: ItemNumber) -> Response:
    """Show an item's story."""
    with api.engine().db.reading() as tx:
        story = story_of(tx, job=job, n=item)
        parsed = api.engine().job(tx, job)
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
    )
