"""Submitting a job from the browser."""

from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path

from fastapi import APIRouter, Request, Response, UploadFile
from pydantic import ValidationError

from firstline.config.errors.error_messages import sentence
from firstline.config.settings import get_settings
from firstline.orchestrator.submission.input_fit import parse_mapping
from firstline.orchestrator.web.api.submission import JobOrder, as_named_file, submit
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.session import Filled, FormSubmitter, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError

router = APIRouter(prefix="/submit")


@router.get("")
def show_form(request: Request, visitor: Visit, workflow: str = "") -> Response:
    """Show the form."""
    return _form(request, {"workflow": workflow})


@router.post("")
def submit_form(request: Request, visitor: FormSubmitter, filled: Filled, file: UploadFile | None = None) -> Response:
    """Submit the job; what does not fit is shown again with the reason."""
    try:
        with _source(file, filled.get("texts", "")) as source:
            status = submit(_order(filled), source, visitor, key=None)
    except UserError as error:
        return _form(request, filled, str(error))
    return go(f"/jobs/{status.job}")


_FIELDS = ("workflow", "goal", "profile", "budget_usd", "id_field")


def _order(filled: dict[str, str]) -> JobOrder:
    fields: dict[str, object] = {name: filled.get(name, "").strip() or None for name in _FIELDS}
    mapping = parse_mapping(filled.get("mapping", "").split())
    return order_of(fields | {"approve": "approve" in filled, "map": mapping})


def order_of(fields: dict[str, object]) -> JobOrder:
    """Return the order that a form's fields make; UserError says what is wrong with which."""
    try:
        return JobOrder.model_validate(fields)
    except ValidationError as error:
        said = (f"{one['loc'][0] if one['loc'] else 'form'}: {sentence(one)}" for one in error.errors())
        raise UserError("\n".join(said)) from None


def _source(file: UploadFile | None, texts: str) -> AbstractContextManager[Path | None]:
    if file is not None and file.filename:
        return as_named_file(file.file, file.filename)
    return as_named_file(BytesIO(texts.encode()), "") if texts.strip() else nullcontext(None)


def _form(request: Request, typed: dict[str, str], wrong: str | None = None) -> Response:
    catalogue = current_catalogue(request.state.visitor.tenant)
    names = sorted({*catalogue.workflows.entries, *catalogue.skills.entries})
    return render(
        request,
        "submit.html",
        status=422 if wrong else 200,
        typed=typed,
        wrong=wrong,
        workflows=names,
        profiles=sorted(catalogue.profiles.entries),
        default_profile=get_settings().profile,
    )
