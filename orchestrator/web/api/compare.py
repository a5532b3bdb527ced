"""Comparing models: each answers the same items alone, and they are laid side by side."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from firstline.config.settings import get_settings
from firstline.orchestrator.experiments import side_by_side
from firstline.orchestrator.experiments.side_by_side import SideBySide, choose_model
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.submission.item_reader import read_items
from firstline.orchestrator.web.access import Admin, Operator, Viewer, Visitor, find_job
from firstline.orchestrator.web.api.submission import JobBody, request_of
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.parameters import NAME, Name
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.base import Frozen

router = APIRouter(route_class=JsonRoute, prefix="/v1", tags=["compare"], responses=documented(HTTPStatus.NOT_FOUND))

ComparisonId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The comparison's id.")]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]*$")]


class ComparisonBody(JobBody):
    """Items, a workflow or skill, and the models to compare on them."""

    models: tuple[ModelName, ...] = Field(
        default=(), max_length=12, description="Models or tiers of the profile; the first of each tier when missing."
    )


class ChosenModel(Frozen):
    """The model that a skill is to start on."""

    profile: str = Field(pattern=NAME)
    model: ModelName


class StartChoice(Frozen):
    """The tier that the skill starts on now."""

    tier: str


@router.post("/comparisons", status_code=HTTPStatus.CREATED, summary="Compare models")
def begin_comparison(visitor: Operator, body: ComparisonBody) -> SideBySide:
    """Have each model answer the items alone, as a job of its own; costs what those jobs cost."""
    return begin(body, visitor)


def begin(body: ComparisonBody, visitor: Visitor) -> SideBySide:
    """Begin a comparison and return how it stands."""
    request = request_of(body, visitor, key=None)
    catalogue = current_catalogue(request.options.tenant)
    profile = request.profile or catalogue.profile(get_settings().profile)
    known = {tier.name for tier in profile.ladder} | {model.name for model in profile.models}
    for model in body.models:
        if model not in known:
            detail = f"profile '{profile.name}' has no model '{model}'; it has {', '.join(sorted(known))}"
            raise Refusal(HTTPStatus.NOT_FOUND, detail)
    with as_file(body.items) as source:
        items = list(read_items(source, id_field=body.id_field)) if source else []
    return look(side_by_side.begin(request, items, models=body.models, profile=profile), visitor)


def look(name: str, visitor: Visitor) -> SideBySide:
    """Return a comparison that the visitor may see."""
    found = side_by_side.look(name)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no comparison '{name}'")
    find_job(found.jobs[0].job, visitor)
    return found


@router.get("/comparisons/{comparison}", summary="One comparison")
def get_comparison(visitor: Viewer, comparison: ComparisonId) -> SideBySide:
    """Return the comparison; `result` is there once all its jobs have ended."""
    return look(comparison, visitor)


@router.put("/skills/{name}/model", summary="Make a model the skill's")
def put_model(visitor: Admin, name: Name, body: ChosenModel) -> StartChoice:
    """Let a skill start on a model's tier, and the tier ask that model first; written as files of your own."""
    return StartChoice(
        tier=choose_model(
            current_catalogue(visitor.tenant), skill=name, profile=body.profile, model=body.model, by=visitor.name
        )
    )
