"""`firstline item`: one item's story."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Job, Json

PANEL = "Jobs"


def item(
    job: Job,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id, or its number as #137 (from 1).")],
    as_json: Json = False,
) -> None:
    """Tell one item's story: its prompts, answers, checks, why it climbed, and what each call cost."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.reports.console import wide_console
    from firstline.orchestrator.reports.item_history import held_against_truth, prompts_of, story_of
    from firstline.orchestrator.reports.item_text import rendered

    engine = api.engine()
    with engine.db.reading() as tx:
        story = story_of(tx, job=job, n=api.item_number(tx, job, item))
        known = engine.job(tx, job)
    prompts, held = prompts_of(known, story), held_against_truth(known, story)
    if as_json:
        show_json(story)
        return
    console = wide_console()
    console.print(f"{story.item.item_id} of job {job}: {story.item.status.value}", style="bold", markup=False)
    console.print(rendered(story, prompts, held))
