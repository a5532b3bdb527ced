"""`firstline calibrate`: from which confidence on a cheap answer is good enough, with a guarantee."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import (
    Budget,
    Compare,
    Field,
    Gold,
    IdField,
    Input,
    Json,
    Map,
    ProfileName,
    Record,
    Target,
)

PANEL = "Quality"
NOTED = True


class Spoken(StrEnum):
    """The words of `Promise`, without loading it for a help text."""

    ITEMS = "items"
    SOURCE = "source"


def calibrate(
    target: Target = None,
    *,
    scores: Annotated[
        Path | None,
        typer.Option("--scores", metavar="F.csv", help="Columns id,confidence,cheap_correct[,frontier_correct]."),
    ] = None,
    input_: Input = None,
    map_: Map = None,
    id_field: IdField = None,
    labels: Annotated[
        int | None, typer.Option("--labels", min=1, help="Items to label (200 for a workflow, else all rows).")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option("--max-loss", help="Loss to bear, 0..1 (the skill's own, else 0.05, when missing).")
    ] = None,
    delta: Annotated[float, typer.Option("--delta", help="Chance to bear that the guarantee fails.")] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="Draws the sample.")] = 0,
    promise: Annotated[
        Spoken | None,
        typer.Option("--promise", help="With --scores: about its items alone (with --labels), or the source too."),
    ] = None,
    profile: ProfileName = None,
    tier: Annotated[str | None, typer.Option("--tier", help="Tier to calibrate; the lowest when missing.")] = None,
    budget: Budget = None,
    record: Record = None,
    gold: Gold = None,
    field: Field = None,
    compare: Compare = None,
    as_json: Json = False,
) -> None:
    """Find from which confidence on a cheap answer may be accepted.

    With probability 1 - delta, at most max-loss of all items are then accepted wrong where the frontier is right. From
    a CSV of scores; or for a workflow: cheap and frontier answer a sample, and `submit` uses what comes out.
    """
    from firstline.orchestrator.cli._calibration import show_calibrated, show_feasibility, show_scores

    if (scores is None) == (target is None):
        raise typer.BadParameter("expected a workflow or --scores F.csv, and not both")
    if scores is not None:
        from firstline.orchestrator.quality.calibration.threshold import Promise

        said = Promise(promise.value) if promise else None
        show_scores(scores, max_loss, delta, labels, seed, said, as_json=as_json)
        return
    from firstline.orchestrator.experiments.calibrate import calibrate
    from firstline.orchestrator.experiments.calibration_aim import Aim
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    order = read_order(target, Wishes(input_, profile, None, budget, None, id_field=id_field, map=parse_mapping(map_)))
    aim = Aim(labels or 200, max_loss, delta, seed, tier, gold, field, compare)
    show_feasibility(aim.labels, max_loss, delta)
    show_calibrated(calibrate(order, aim, View(quiet=as_json), record=record), as_json=as_json)
