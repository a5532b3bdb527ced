"""Tokens with their last use, and what was done with them: an administrator's pages."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from firstline.orchestrator import api
from firstline.orchestrator.core import audit_log, tokens
from firstline.orchestrator.core.audit_log import DeedQuery
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.web.pages.items import page_numbers
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.session import FormAdmin, VisitAdmin, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError

router = APIRouter()

_SHOWN = 50


class LogQuery(DeedQuery):
    """What of the audit log is shown, and which page of it."""

    page: int = Field(default=1, ge=1, le=10**6)

    def link(self, **changes: object) -> str:
        """Return the address of a page of the same, but for what changes."""
        there = LogQuery.model_validate(self.model_dump() | changes)
        query = urlencode(there.model_dump(mode="json", exclude_defaults=True))
        return f"/audit-log?{query}" if query else "/audit-log"


@router.get("/audit-log")
def show_audit_log(request: Request, visitor: VisitAdmin, query: Annotated[LogQuery, Query()]) -> Response:
    """Show who did what, when, from where; all that is asked stands in the address."""
    db = api.engine().db
    count = audit_log.count(db, query)
    last = max(1, -(-count // _SHOWN))
    page = min(query.page, last)
    return render(
        request,
        "audit_log.html",
        deeds=audit_log.fitting(db, query, offset=_SHOWN * (page - 1), limit=_SHOWN),
        query=query.evolve(page=page),
        count_deeds=count,
        pages=tuple(page_numbers(page, last)),
    )


@router.get("/tokens")
def show_tokens(request: Request, visitor: VisitAdmin) -> Response:
    """Show all tokens, with their last use."""
    return render(request, "tokens.html", tokens=tokens.listed(api.engine().db), now=now())


@router.post("/tokens/{token}/revoke")
def revoke_token(visitor: FormAdmin, token: Annotated[str, Path(pattern=r"^[0-9a-f]{1,16}$")]) -> Response:
    """End a token, and the sessions that it began, at once."""
    try:
        tokens.revoke(api.engine().db, token)
    except UserError as error:
        raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from None
    return go("/tokens")
