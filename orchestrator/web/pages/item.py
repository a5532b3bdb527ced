"""One item: every attempt side by side, with what was checked and why it climbed."""

from fastapi import APIRouter, Request, Response

from orchestrator import api
from orchestrator.store import jobs
from orchestrator.story import AttemptLine, story_of
from orchestrator.web.fields import ItemNumber
from orchestrator.web.session import PageJob
from orchestrator.web.templating import render

router = APIRouter()


@router.get("/jobs/{job}/items/{item}")
def show_item(request: Request, job: PageJob, item: ItemNumber) -> Response:
    """Show an item's story."""
    with api.engine().db.reading() as tx:
        story = story_of(tx, job=job, n=item)
        ladder = api.engine().job(tx, job).ladder
        name = jobs.light(tx, job=job)["name"]
    steps: dict[str, list[AttemptLine]] = {subtask.step: [] for subtask in story.subtasks}
    for attempt in story.attempts:
        steps.setdefault(attempt.step, []).append(attempt)
    subtasks = {subtask.step: subtask for subtask in story.subtasks}
    return render(
        request, "item.html", job=job, job_name=name, story=story, by_step=steps, subtasks=subtasks, ladder=ladder
    )
