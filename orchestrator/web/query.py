"""A query parameter that nobody reads is a typo: it is refused, not ignored."""

from http import HTTPStatus

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from firstline.orchestrator.web.problem import Refusal


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
