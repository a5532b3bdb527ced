"""What can be named: workflows, skills and tiers (profiles), read, and written where they are the user's own."""

from http import HTTPStatus
from typing import Generic, TypeVar

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from firstline.config.catalogue.collection import Entry, Shelf
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import draft, save_own
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator.submission.offered import Offers, offers
from firstline.orchestrator.web.access import Admin, Viewer, Visitor
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.parameters import Name
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

router = APIRouter(route_class=JsonRoute, prefix="/v1", tags=["catalogue"], responses=documented())

T = TypeVar("T", Workflow, Skill, Profile)
_MISSING = documented(HTTPStatus.NOT_FOUND)
_YAML = {
    **_MISSING,
    200: {"description": "YAML.", "content": {"application/yaml": {"schema": {"type": "object"}}}},
}


class CatalogueEntry(Frozen):
    """An entry of the catalogue, by name."""

    name: str
    description: str = ""
    built_in: bool
    #: What is wrong with its file; one that is broken cannot be used.
    problems: tuple[str, ...] = ()


class CatalogueValue(Frozen, Generic[T]):
    """An entry of the catalogue with its value."""

    name: str
    built_in: bool
    value: T


def _listed(shelf: Shelf[T]) -> list[CatalogueEntry]:
    return [
        CatalogueEntry(
            name=name,
            description=entry.value.description if entry.value else "",
            built_in=entry.built_in,
            problems=tuple(problem.text for problem in entry.problems),
        )
        for name, entry in sorted(shelf.entries.items())
    ]


def found(shelf: Shelf[T], name: str) -> tuple[Entry[T], T]:
    """Return an entry and its value; refused as unknown where there is none, or it is broken."""
    try:
        entry = shelf.entry(name)
    except UserError as error:
        raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from None
    assert entry.value is not None
    return entry, entry.value


def _kept(shelf: Shelf[T], name: str) -> CatalogueValue[T]:
    entry, value = found(shelf, name)
    return CatalogueValue(name=name, built_in=entry.built_in, value=value)


def _text(shelf: Shelf[T], name: str) -> PlainTextResponse:
    _, value = found(shelf, name)
    return PlainTextResponse(as_yaml(value), media_type="application/yaml")


def save(kind: FileKind, name: str, value: Workflow | Skill | Profile, visitor: Visitor) -> None:
    """Write a value as the user's own file; comments and order of a text that is there stay."""
    if value.name != name:
        raise UserError(f"the body names itself '{value.name}', expected '{name}'")
    catalogue = current_catalogue(visitor.tenant)
    save_own(catalogue, kind, name, draft(catalogue, kind, value).new, by=visitor.name)


@router.get("/offers", summary="What a job may name")
def get_offers(visitor: Viewer) -> Offers:
    """Return the workflows and skills in order, with the fields of their items, and the profiles."""
    return offers(current_catalogue(visitor.tenant))


@router.get("/workflows", summary="List workflows")
def list_workflows(visitor: Viewer) -> list[CatalogueEntry]:
    """Return all workflows by name, broken ones among them."""
    return _listed(current_catalogue(visitor.tenant).workflows)


@router.get("/workflows/{name}", responses=_MISSING, summary="One workflow")
def get_workflow(visitor: Viewer, name: Name) -> CatalogueValue[Workflow]:
    """Return a workflow."""
    return _kept(current_catalogue(visitor.tenant).workflows, name)


@router.get("/workflows/{name}/yaml", responses=_YAML, response_class=PlainTextResponse, summary="One as YAML")
def get_workflow_text(visitor: Viewer, name: Name) -> PlainTextResponse:
    """Return a workflow as the YAML of a file."""
    return _text(current_catalogue(visitor.tenant).workflows, name)


@router.put("/workflows/{name}", responses=_MISSING, summary="Save a workflow")
def put_workflow(visitor: Admin, name: Name, body: Workflow) -> CatalogueValue[Workflow]:
    """Write a workflow of your own; one with a built-in's name is used instead of it."""
    save(FileKind.WORKFLOW, name, body, visitor)
    return _kept(current_catalogue(visitor.tenant).workflows, name)


@router.get("/skills", summary="List skills")
def list_skills(visitor: Viewer) -> list[CatalogueEntry]:
    """Return all skills by name, broken ones among them."""
    return _listed(current_catalogue(visitor.tenant).skills)


@router.get("/skills/{name}", responses=_MISSING, summary="One skill")
def get_skill(visitor: Viewer, name: Name) -> CatalogueValue[Skill]:
    """Return a skill."""
    return _kept(current_catalogue(visitor.tenant).skills, name)


@router.get("/skills/{name}/yaml", responses=_YAML, response_class=PlainTextResponse, summary="One as YAML")
def get_skill_text(visitor: Viewer, name: Name) -> PlainTextResponse:
    """Return a skill as the YAML of a file."""
    return _text(current_catalogue(visitor.tenant).skills, name)


@router.put("/skills/{name}", responses=_MISSING, summary="Save a skill")
def put_skill(visitor: Admin, name: Name, body: Skill) -> CatalogueValue[Skill]:
    """Write a skill of your own; one with a built-in's name is used instead of it."""
    save(FileKind.SKILL, name, body, visitor)
    return _kept(current_catalogue(visitor.tenant).skills, name)


@router.get("/tiers", summary="List profiles")
def list_profiles(visitor: Viewer) -> list[CatalogueEntry]:
    """Return all profiles (ladders of tiers) by name, broken ones among them."""
    return _listed(current_catalogue(visitor.tenant).profiles)


@router.get("/tiers/{name}", responses=_MISSING, summary="One profile")
def get_profile(visitor: Viewer, name: Name) -> CatalogueValue[Profile]:
    """Return a profile: its tiers, their models, limits and prices. It holds names of keys, never keys."""
    return _kept(current_catalogue(visitor.tenant).profiles, name)


@router.get("/tiers/{name}/yaml", responses=_YAML, response_class=PlainTextResponse, summary="One as YAML")
def get_profile_text(visitor: Viewer, name: Name) -> PlainTextResponse:
    """Return a profile as the YAML of a file."""
    return _text(current_catalogue(visitor.tenant).profiles, name)


@router.put("/tiers/{name}", responses=_MISSING, summary="Save a profile")
def put_profile(visitor: Admin, name: Name, body: Profile) -> CatalogueValue[Profile]:
    """Write a profile of your own; one with a built-in's name is used instead of it."""
    save(FileKind.PROFILE, name, body, visitor)
    return _kept(current_catalogue(visitor.tenant).profiles, name)
