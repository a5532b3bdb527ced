"""What the pages of calibrations and of tunings have in common: their forms, their rows, and how far they are."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from pathlib import Path as FilePath
from typing import Annotated, Self

from fastapi import Path, UploadFile
from pydantic import Field, ValidationError

from firstline.orchestrator import api
from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.background import BackgroundExperiment, ExperimentKind
from firstline.orchestrator.store import item_lists
from firstline.orchestrator.submission.run_request import Order
from firstline.orchestrator.web.access import Visitor, find_job
from firstline.orchestrator.web.api.submission import as_named_file
from firstline.orchestrator.web.pages.submit import order_of, said_wrong, source_of, with_items
from firstline.orchestrator.web.parameters import JOB_ID
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

#: So many of the newest are listed.
LISTED = 20
#: So many of the first rows of a former job are drawn from.
MOST_ROWS = 20_000
ExperimentId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The experiment's id.")]


class AimForm(Frozen):
    """What is to be certified, as a form has it."""

    labels: int = Field(default=200, ge=1, le=100_000)
    gold: str | None = Field(default=None, max_length=200)
    field: str | None = Field(default=None, max_length=200)

    @classmethod
    def of(cls, filled: dict[str, str]) -> Self:
        """Return what a form holds; UserError says what is wrong with which field."""
        given = {name: text for name in cls.model_fields if (text := filled.get(name, "").strip())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise UserError(said_wrong(error)) from None


@contextmanager
def rows_of(filled: dict[str, str], file: UploadFile | None, visitor: Visitor) -> Iterator[FilePath | None]:
    """Yield a form's rows as a file: those uploaded, else those typed, else a former job's; None: none of them.

    Refusal: there is no such job that the visitor may see.
    """
    job = filled.get("job", "").strip()
    if not job or (file is not None and file.filename) or filled.get("texts", "").strip():
        with source_of(file, filled.get("texts", "")) as source:
            yield source
        return
    if not re.fullmatch(JOB_ID, job):
        raise UserError(f"expected the id of a job whose rows are taken, got '{job}'")
    with api.engine().db.reading() as tx:
        rows = item_lists.items(tx, job=find_job(job, visitor), limit=MOST_ROWS)
    lines = "\n".join(json.dumps({"id": row["item_id"], **row["input"]}, ensure_ascii=False) for row in rows)
    with as_named_file(BytesIO(lines.encode()), "rows.jsonl") as source:
        yield source


def experiment_order(filled: dict[str, str], source: FilePath | None, visitor: Visitor, *, doing: str) -> Order:
    """Return the order that a form holds; UserError where a workflow or its rows are missing."""
    if source is None:
        raise UserError(f"no items: choose a file, type some, or name a job; {doing} draws a sample of them")
    if not filled.get("workflow"):
        raise UserError(f"expected a workflow or a skill for {doing}; choose one")
    return with_items(order_of(filled), source, visitor)


def experiment_of(run: str, kind: ExperimentKind, visitor: Visitor) -> BackgroundExperiment:
    """Return one that the visitor may see; Refusal: there is none."""
    found = background.look(run, kind, tenant=visitor.sees)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {kind} '{run}' that was begun here")
    return found
