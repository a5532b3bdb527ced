"""Submitting a job from the browser, once its rows, their fields and its cost have been seen."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from fastapi import APIRouter, Request, Response, UploadFile
from pydantic import ValidationError

from firstline.config.errors.error_messages import sentence
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.money.estimate import estimate
from firstline.orchestrator.money.job_estimate import above_top
from firstline.orchestrator.submission.preview import Preview, preview
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.api.submission import JobOrder, as_named_file, submit, with_items
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.pages.items import first_words
from firstline.orchestrator.web.session import Filled, FormSubmitter, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError
from firstline.schemas.estimate import Estimate

router = APIRouter(prefix="/submit")


@router.get("")
def show_form(request: Request, visitor: Visit, workflow: str = "") -> Response:
    """Show the form."""
    return _form(request, {"workflow": workflow})


@router.post("")
def submit_form(request: Request, visitor: FormSubmitter, filled: Filled, file: UploadFile | None = None) -> Response:
    """Submit the job; what does not fit is shown again with the reason."""
    with source_of(file, filled.get("texts", "")) as source:
        try:
            status = submit(order_of(filled), source, visitor, key=None)
        except UserError as error:
            return _form(request, filled, str(error), look_at(filled, source, visitor))
    return go(f"/jobs/{status.job}")


@router.post("/preview")
def show_preview(request: Request, visitor: FormSubmitter, filled: Filled, file: UploadFile | None = None) -> Response:
    """Show the first rows, where each field is taken from, and what the job is expected to cost; nothing is sent."""
    with source_of(file, filled.get("texts", "")) as source:
        return render(request, "parts/preview.html", look=look_at(filled, source, visitor), first_words=first_words)


_FIELDS = ("workflow", "goal", "profile", "budget_usd", "id_field")
#: What stands before the name of a field, where a form says which column it is taken from.
_FROM = "from-"
#: Columns that are shown of each row.
_COLUMNS = 8


@dataclass(frozen=True)
class Look:
    """What is shown of a job before it is submitted."""

    #: None: there are no items yet, or they cannot be read.
    seen: Preview | None = None
    estimate: Estimate | None = None
    #: Why the estimate is a reason to think again.
    doubt: str | None = None
    #: What stands in the way of submitting it.
    wrong: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns there is room for."""
        return self.seen.columns[:_COLUMNS] if self.seen else ()


def order_of(filled: dict[str, str]) -> JobOrder:
    """Return the order that a form holds; UserError says what is wrong with which field."""
    fields = {name: filled.get(name, "").strip() or None for name in _FIELDS}
    return as_order(fields | {"approve": "approve" in filled, "map": _chosen(filled)})


def _chosen(filled: dict[str, str]) -> dict[str, str]:
    pairs = {name.removeprefix(_FROM): column for name, column in filled.items() if name.startswith(_FROM)}
    return {field: column for field, column in pairs.items() if column not in ("", field)}


def look_at(filled: dict[str, str], source: Path | None, visitor: Visitor) -> Look:
    """Return what can be seen of a form's items; what stands in their way is among that."""
    if source is None or not (filled.get("workflow") or filled.get("goal")):
        return Look()
    seen = None
    try:
        order = with_items(order_of(filled), source, visitor)
        seen = preview(replace(order, map={}).items(), order.needs, order.map)
        with replace(order, map=seen.mapping).checked() as checked, api.engine().db.reading() as tx:
            found = estimate(tx, checked)
    except UserError as error:
        return Look(seen, wrong=str(error))
    return Look(seen, found.evolve(notes=(*checked.notes, *found.notes)), above_top(found))


def as_order(fields: Mapping[str, object]) -> JobOrder:
    """Return the order that a form's fields make; UserError says what is wrong with which."""
    try:
        return JobOrder.model_validate(fields)
    except ValidationError as error:
        raise UserError(said_wrong(error)) from None


def said_wrong(error: ValidationError) -> str:
    """Return what is wrong with a form, a line for each field."""
    return "\n".join(f"{one['loc'][0] if one['loc'] else 'form'}: {sentence(one)}" for one in error.errors())


def source_of(file: UploadFile | None, texts: str) -> AbstractContextManager[Path | None]:
    """Return a form's items as a file for the length of a block: those uploaded, else those typed; None: neither."""
    if file is not None and file.filename:
        return as_named_file(file.file, file.filename)
    return as_named_file(BytesIO(texts.encode()), "") if texts.strip() else nullcontext(None)


def choices(visitor: Visitor) -> dict[str, object]:
    """Return what a form lets somebody choose from."""
    catalogue = current_catalogue(visitor.tenant)
    return {
        "workflows": sorted({*catalogue.workflows.entries, *catalogue.skills.entries}),
        "profiles": sorted(catalogue.profiles.entries),
        "default_profile": get_settings().profile,
        "first_words": first_words,
    }


def _form(request: Request, typed: dict[str, str], wrong: str | None = None, look: Look | None = None) -> Response:
    return render(
        request,
        "submit.html",
        status=422 if wrong else 200,
        typed=typed,
        wrong=wrong,
        look=look or Look(),
        **choices(request.state.visitor),
    )
