"""`firstline tune`: from rows and a prompt to a certified pipeline."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Budget, Compare, Field, Gold, Input, Json, ProfileName, Record, Target

PANEL = "Quality"


def tune(
    target: Target = None,
    *,
    prompt: Annotated[
        Path | None, typer.Option("--prompt", metavar="FILE", help="A prompt as text, where there is no skill yet.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", metavar="FILE", help="JSON Schema of the prompt's answers.")
    ] = None,
    input_: Input = None,
    gold: Gold = None,
    max_loss: Annotated[
        float | None, typer.Option("--max-loss", help="Loss to bear, 0..1 (the job file's, else 0.05).")
    ] = None,
    delta: Annotated[float, typer.Option("--delta", help="Chance to bear that the guarantee fails.")] = 0.1,
    budget: Budget = None,
    labels: Annotated[
        int | None,
        typer.Option("--labels", min=1, help="Rows that the top model answers at most, for a step (200)."),
    ] = None,
    profile: ProfileName = None,
    examples: Annotated[
        int | None,
        typer.Option("--examples", min=0, max=20, help="Answers of the top model to show in prompts, as a try (6)."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the profile, the prompts and the calibrations.")
    ] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the rows.")] = 0,
    field: Field = None,
    compare: Compare = None,
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Find the cheapest certified pipeline for your rows: which model answers first, and from when on it is taken.

    Every cheaper model of the profile answers the same rows, the top model labels some of them; the likelier ones are
    tried again with some of these labels as examples in their prompts. What is likely to cost least is certified on
    rows that the choosing did not see. Says before it starts what it costs at most; broken off,
    the same command goes on.
    """
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.experiments.prompt_skill import skill_of_prompt
    from firstline.orchestrator.experiments.tune import carry_out, prepare
    from firstline.orchestrator.experiments.tune_apply import apply_tuning
    from firstline.orchestrator.experiments.tune_report import TuneAim
    from firstline.orchestrator.experiments.tune_text import cost_line, render_page, text
    from firstline.orchestrator.results.outlet import check_writable
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    if (prompt is None) == (target is None):
        raise typer.BadParameter("expected a workflow, a skill or a job file, or --prompt FILE, and not both")
    check_writable(str(html) if html else None)
    if prompt is not None:
        target, written = skill_of_prompt(prompt, schema, rows=input_, gold=gold)
        typer.echo(f"skill: {written}", err=True)
    order = read_order(target, Wishes(input_, profile, None, budget, None))
    said = order.tune
    if said.input and input_ is None:
        order = replace(order, source=said.input)
    shown = said.examples if examples is None else examples
    aim = TuneAim(labels or said.labels, max_loss or said.max_loss, delta, said.rows, seed, shown, gold, field, compare)
    prepared = prepare(order, aim)
    typer.echo(cost_line(prepared), err=True)
    made = carry_out(prepared, View(quiet=as_json), record=record)
    found = made.report
    if html:
        html.write_text(render_page(found), encoding="utf-8")
        typer.echo(f"page: {html}", err=True)
    applied = apply_tuning(made) if apply else []
    if as_json:
        show_json(found)
        return
    typer.echo(text(found))
    for line in applied:
        typer.echo(line)
