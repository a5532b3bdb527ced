"""Rows of a script or a notebook, run through a skill to their results: `firstline.run` and `firstline.map`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstline.config.catalogue.catalogue import load_catalogue, of_skill
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.run.frames import frame_of, items_of, with_results
from firstline.orchestrator.run.runner import View
from firstline.orchestrator.run.runner import run as run_order
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.submission.run_request import Order, with_script
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult, JobRequest, JobStatus, Options
from firstline.schemas.plan import Workflow
from firstline.schemas.report import Report
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

#: Mappings, texts, or a data frame of any library that narwhals knows.
Rows = Iterable[Mapping[str, Any] | str] | Any


@dataclass(frozen=True)
class Ran:
    """How a run ended, what it cost, and what each row came to, in the rows' order."""

    status: JobStatus
    report: Report
    results: tuple[ItemResult, ...]

    @property
    def outputs(self) -> list[Json]:
        """The outputs alone; None where a row failed."""
        return [result.output for result in self.results]


def run(
    rows: Rows,
    skill: str | Skill | Workflow,
    *,
    profile: str | Profile | None = None,
    script: str | Path | None = None,
    mapping: Mapping[str, str] | None = None,
    id_field: str | None = None,
    quiet: bool = False,
    **options: Any,
) -> Ran:
    """Run rows, or those of a data frame, through a skill or workflow to their end, with progress on stderr.

    `skill`: by name, by path, or made in Python.

    Everything that the run needs is started, and stopped at its end, as `firstline run` does. A text is a row for a
    skill with one required input. `mapping`: field -> column. `options` are those of `Options`, such as `budget_usd`.
    UserError before anything has begun; Interrupted when it is stopped: `firstline resume` goes on.
    """
    if isinstance(rows, str | Skill | Workflow):
        raise UserError(f"expected rows first and the skill second, got a {type(rows).__name__} in place of rows")
    catalogue = load_catalogue()
    workflow = _workflow(skill)
    ladder = profile if isinstance(profile, Profile) else catalogue.profile(profile or get_settings().profile)
    ladder = with_script(ladder, str(Path(script).absolute()) if script else None)
    request = JobRequest(workflow=workflow, profile=ladder, options=Options(profile=ladder.name, **options))
    frame = frame_of(rows)
    items = [_row(row, workflow) for row in rows] if frame is None else items_of(frame)
    with as_file(items) as source:
        if source is None:
            raise UserError("no rows: expected at least one")
        functions = catalogue.functions
        order = Order(request, ladder, str(source), id_field, map=mapping or {}, functions=functions)
        finished = run_order(order, View(quiet=quiet))
    results = tuple(result for result in api.results(finished.status.job))
    return Ran(finished.status, finished.report, results[: finished.status.items])


def map(rows: Rows, skill: str | Skill | Workflow, **options: Any) -> Any:
    """Return what each row comes to. `options` as for `run`.

    Of a data frame (pandas, polars, Arrow) the same frame with columns added: one for each field of the output, then
    tier, confidence, cost and reason. Of other rows a list of outputs, in their order; None where one failed.
    """
    frame = frame_of(rows)
    ran = run(rows, skill, **options)
    return ran.outputs if frame is None else with_results(frame, ran.results)


def _workflow(skill: str | Skill | Workflow) -> Workflow:
    match skill:
        case Workflow():
            return skill
        case Skill():
            return of_skill(skill, inline=True)
        case _:
            return load_catalogue().workflow(skill)


def _row(row: Mapping[str, Any] | str, workflow: Workflow) -> JsonObject:
    if not isinstance(row, str):
        return dict(row)
    skills = load_catalogue().parts(workflow).skills
    first = skills.get(workflow.steps[0].skill or "")
    needed = [name for name, field in first.input.items() if field.required] if first else []
    if len(needed) != 1:
        read = ", ".join(needed) or "the fields that are read"
        raise UserError(f"a text can be a row only where one field is read; expected a mapping with {read}")
    return {needed[0]: row}
