"""What a person sees when something cannot be shown."""

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.web.problem import problem_of


def error_page(request: Request, error: Exception) -> Response:
    """Return the page for an exception."""
    problem, headers = problem_of(error)
    return HTMLResponse(problem.detail, problem.status, headers=headers)
