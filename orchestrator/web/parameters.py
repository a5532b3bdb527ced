"""Path and query parameters: those that several resources share, and those that nobody reads, which are refused."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from firstline.config.catalogue.yaml_file import is_path
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.errors import UserError

#: No path, no control characters: the API names what is in the catalogue and reads no other file.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"

JOB_ID = r"^[0-9A-Za-z-]{1,40}$"
JobId = Annotated[str, Path(pattern=JOB_ID, description="The job's id.")]
ItemNumber = Annotated[int, Path(ge=-1, le=2**31 - 1, description="The item's number, from 0; -1 is the whole job.")]
Name = Annotated[str, Path(pattern=NAME, description="Its name in the catalogue.")]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]


def plain_name(name: str) -> str:
    """Return a name of the catalogue; UserError for a path."""
    if is_path(name):
        raise UserError(f"expected a name of the catalogue, got the path '{name}'; the API opens no files by path")
    return name


async def only_known_query(request: Request) -> None:
    """Refuse a request with query parameters that its route does not declare."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = _declared(route.dependant)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        expected = f"; it takes {', '.join(sorted(known))}" if known else "; it takes none"
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"there is no query parameter {unknown[0]!r} here{expected}")


def _declared(dependant: Dependant) -> set[str]:
    """Return the names of the query parameters of a route and of what it depends on."""
    own = {parameter.alias for parameter in dependant.query_params}
    return own.union(*(_declared(inner) for inner in dependant.dependencies))
