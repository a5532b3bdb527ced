"""Families of chat requests: what they cost, who answers them, and what their owners say of them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from firstline.orchestrator.quality.families.family import Family
from firstline.orchestrator.quality.families.listing import FamilyChange, change, standings
from firstline.orchestrator.web.access import Operator, Viewer
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.problem import documented

router = APIRouter(route_class=JsonRoute, prefix="/v1/families", tags=["quality"], responses=documented())

FamilyId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The family's id.")]


@router.get("", summary="Families of chat requests")
def list_families(visitor: Viewer) -> list[Family]:
    """Return the families, those that the top model costs most first."""
    return standings(tenant=visitor.sees)


@router.patch("/{family}", responses=documented(HTTPStatus.NOT_FOUND), summary="What an owner says of a family")
def change_family(family: FamilyId, asked: FamilyChange, visitor: Operator) -> Family:
    """Pin or exclude a family, name how its answers are compared, or what it may lose."""
    return change(family, asked, tenant=visitor.sees)
