"""How calibrations are shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from firstline.orchestrator.cli._show import show_json, show_table
from firstline.orchestrator.reports.formatting import percent

if TYPE_CHECKING:
    from firstline.orchestrator.experiments.calibration_aim import CalibrationResult
    from firstline.orchestrator.quality.calibration.standing import Standing
    from firstline.orchestrator.quality.calibration.threshold import Promise

_MAX_LOSS = 0.05


def show_scores(
    path: Path,
    max_loss: float | None,
    delta: float,
    labels: int | None,
    seed: int,
    promise: "Promise | None",
    *,
    as_json: bool,
) -> None:
    """Calibrate on a CSV of scores and print what came out; with JSON, the sentence goes to stderr."""
    from firstline.orchestrator.quality.calibration.command import explain, run_scores

    loss = _MAX_LOSS if max_loss is None else max_loss
    found = run_scores(path, loss, delta, labels, seed, promise)
    if as_json:
        typer.echo(found.model_dump_json())
    typer.echo(explain(found, max_loss=loss), err=as_json)


def show_feasibility(labels: int, max_loss: float | None, delta: float) -> None:
    """Say on stderr, before any label is paid, what so many of them can certify at best."""
    from firstline.orchestrator.quality.calibration.command import feasibility

    loss = _MAX_LOSS if max_loss is None else max_loss
    typer.echo(feasibility(labels, max_loss=loss, delta=delta), err=True)


def show_calibrated(found: "Sequence[CalibrationResult]", *, as_json: bool) -> None:
    """Print what came out for each skill; exits with 1 where no threshold could be sought for any."""
    if as_json:
        show_json(found)
    else:
        for one in found:
            models = f"{one.cheap_model} under {one.frontier_model}"
            typer.echo(f"{one.step}: {one.skill} version {one.skill_version}, {models}")
            typer.echo(f"  {_basis(one)}{one.said}")
            if one.silent:
                typer.echo(f"  nobody compared {', '.join(one.silent)}: nothing is certified of it")
    if all(one.calibration is None for one in found):
        raise typer.Exit(1)


def _basis(one: "CalibrationResult") -> str:
    if one.calibration is None:
        return ""
    truth = "gold" if one.gold else "agreement with the frontier"
    return f"{one.signal}, {one.items} items labelled by {truth}. "


def show_standings(found: "Sequence[Standing]", *, as_json: bool) -> None:
    """Print the calibrations there are, newest first."""
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("no calibrations yet; `firstline calibrate WORKFLOW --input FILE` makes one")
        return
    columns = ("", "skill", "cheap / frontier", "signal", "threshold", "loss", "frontier", "labels", "state", "why")
    show_table(columns, map(_row, found), right=("loss", "frontier", "labels"))


def _row(one: "Standing") -> tuple[object, ...]:
    threshold = "nothing certified" if one.threshold is None else f"{one.threshold:.4g}"
    return (
        one.id,
        f"{one.skill} v{one.skill_version}",
        f"{one.cheap_model} / {one.frontier_model}",
        one.signal,
        threshold,
        percent(one.certified_max_loss),
        percent(one.expected_frontier_share),
        one.labels_used,
        one.state,
        one.reason,
    )
