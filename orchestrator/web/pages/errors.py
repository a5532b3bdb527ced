"""What a person sees when something cannot be shown."""

from fastapi import Request
from fastapi.responses import Response

from firstline.orchestrator.web.problem import problem_of
from firstline.orchestrator.web.session import NotLoggedIn
from firstline.orchestrator.web.templating import render


def error_page(request: Request, error: Exception) -> Response:
    """Return the page for an exception; who is not logged in is sent to log in."""
    if isinstance(error, NotLoggedIn):
        return error.redirect()
    problem, headers = problem_of(error)
    answer = render(request, "error.html", status=problem.status, problem=problem)
    answer.headers.update(headers)
    return answer
