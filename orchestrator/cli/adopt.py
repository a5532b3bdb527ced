"""`firstline adopt`: what recorded calls cost, what of them could move to cheaper models, and the proof."""

from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Budget, Json, ProfileName

PANEL = "Quality"


def adopt(
    logs: Annotated[list[Path], typer.Argument(metavar="LOGS", help="Files of recorded calls; several are joined.")],
    *,
    top: Annotated[
        str | None, typer.Option("--top", metavar="MODEL", help="Only calls that this model answered; a profile's top.")
    ] = None,
    profile: ProfileName = None,
    try_: Annotated[bool, typer.Option("--try", help="Ask cheaper models too; needs --budget.")] = False,
    budget: Budget = None,
    max_loss: Annotated[float, typer.Option("--max-loss", help="Loss to bear, 0..1.")] = 0.05,
    seed: Annotated[int, typer.Option("--seed", help="Draws the calls that are tried.")] = 0,
    redact: Annotated[
        bool, typer.Option("--redact", help="Mask e-mail addresses, phone and card numbers before anything is kept.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Make a skill of each family that can be certified.")] = False,
    as_json: Json = False,
) -> None:
    """Group recorded calls by family, say what each costs and which could move; measure it with --try.

    LOGS: OpenAI batch input and output files, chat completions as request and response, LiteLLM spend logs, Langfuse
    and OpenTelemetry exports. What is measured is measured against the recorded answers: the top model is not asked.
    """
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.experiments.adopt.findings import findings, lines, write_skills
    from firstline.orchestrator.experiments.adopt.grouping import grouped
    from firstline.orchestrator.experiments.adopt.recorded_calls import read_logs
    from firstline.orchestrator.experiments.adopt.top_model import answered_by, profile_below
    from firstline.schemas.errors import UserError

    if try_ != (budget is not None):
        raise UserError("expected --try with --budget USD, which bounds what trying costs, or neither")
    if not 0 < max_loss < 1:
        raise UserError(f"--max-loss: expected a share between 0 and 1 such as 0.05, got {max_loss:g}")
    ladder = profile_below(profile, top)
    read = answered_by(read_logs(logs, redact=redact), top)
    families = grouped(read, ladder, max_loss=max_loss)
    tried = None
    if try_ and budget is not None:
        from firstline.orchestrator.experiments.adopt.trying import try_families
        from firstline.orchestrator.run.runner import View

        tried = try_families(families, ladder, budget_usd=budget, seed=seed, view=View(quiet=as_json))
    found = findings(read, families, tried)
    if as_json:
        show_json(found)
    else:
        for line in lines(read, found):
            typer.echo(line)
    for line in write_skills(families) if write else ():
        typer.echo(line, err=as_json)
