"""`firstline judge`: how often the model is wrong that says whether two answers in prose come to the same."""

from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Budget, Json, ProfileName

PANEL = "Quality"


def judge(
    target: Annotated[
        str, typer.Argument(metavar="WORKFLOW_OR_SKILL", help="A workflow or skill by name or path, or a job file.")
    ],
    *,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", metavar="FILE", help="Labelled pairs: input, one, other, same.")
    ] = None,
    draw: Annotated[int | None, typer.Option("--draw", min=1, help="Draw so many pairs from audits, to label.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where drawn pairs go.")] = None,
    skill: Annotated[str | None, typer.Option("--skill", help="Which skill, where several are judged.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the pairs.")] = 0,
    profile: ProfileName = None,
    budget: Budget = None,
    as_json: Json = False,
) -> None:
    """Measure the judge of a skill's prose on pairs that a person has labelled; or draw pairs to be labelled.

    The measured errors are in the interval of every audit, comparison and certificate that rests on that judge.
    """
    from firstline.orchestrator.cli._show import show_fields, show_json
    from firstline.orchestrator.experiments.judge_pairs import (
        draw_pairs,
        judged_skill,
        measure,
        read_pairs,
        write_pairs,
    )
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    if (pairs is None) == (draw is None) or (draw is not None and out is None):
        raise typer.BadParameter("expected --pairs FILE, or --draw N with --out FILE")
    # The pairs are no items of the workflow: they take the place of its input.
    order = read_order(target, Wishes(str(pairs or out), profile, None, budget, None))
    chosen = judged_skill(order, skill)
    if draw is not None and out is not None:
        drawn = draw_pairs(order, chosen, draw, seed=seed)
        write_pairs(drawn, out)
        text = f"{len(drawn)} pairs of '{chosen.name}' in {out}: put true or false for `same` in each line"
        show_fields(as_json, text, skill=chosen.name, pairs=len(drawn), file=str(out))
        return
    assert pairs is not None
    found = measure(order, chosen, read_pairs(pairs), View(quiet=as_json))
    if as_json:
        show_json(found)
    else:
        typer.echo(f"{found.skill}, judged by {found.model}: {found.said}")
