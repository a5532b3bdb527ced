"""The Responses API in its plain form: the same conversation in other words, answered as a chat is."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

from firstline.orchestrator.web.access import Submitter
from firstline.orchestrator.web.api.chat import Answered, IdempotencyKey, OwnKey, answer, sent
from firstline.orchestrator.web.api.responses_answer import events_of, response_of
from firstline.orchestrator.web.api.responses_request import ResponsesRequest
from firstline.orchestrator.web.json_body import WaitingJsonRoute
from firstline.orchestrator.web.problem import EVENT, documented

router = APIRouter(route_class=WaitingJsonRoute, prefix="/v1", tags=["openai"])

_ERRORS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


@router.post(
    "/responses",
    responses={
        **_ERRORS,
        200: {
            "content": {"text/event-stream": {"schema": EVENT}},
            "description": "The answer.",
        },
    },
    response_model=dict[str, Any],
    summary="Answer a conversation (OpenAI-compatible, the Responses API without anything kept)",
)
async def respond(
    request: Request, body: ResponsesRequest, visitor: Submitter, key: IdempotencyKey = None, own_key: OwnKey = None
) -> Any:
    """Have a conversation answered as `/v1/chat/completions` does: its requests are of the same families."""
    found = await answer(request, body.chat(), visitor, key=key, own_key=own_key)
    return sent(
        Answered(
            whole=response_of(found.whole) if found.whole is not None else None,
            events=events_of(found.events, model=body.model) if found.events is not None else None,
            headers=found.headers,
        )
    )
