"""Answers of the ladder in the shape of the OpenAI API, whole or as a stream."""

import json
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Literal

from firstline.orchestrator import api
from firstline.orchestrator.store import views
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.base import Frozen
from firstline.schemas.job import ItemResult, ItemState, JobStatus

#: The official client tries again by itself, and each try would be another job.
NO_RETRY = {"x-should-retry": "false"}
#: A line of a stream that says nothing: proxies and clients see that somebody is there.
KEEP_ALIVE = ": waiting\n\n"
DONE = "data: [DONE]\n\n"


class ChatMessage(Frozen):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(Frozen):
    """The one choice there is."""

    index: int = 0
    message: ChatMessage
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class ChatUsage(Frozen):
    """Tokens of all calls on all tiers; 0 where no provider said."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class FirstlineFacts(Frozen):
    """What a client of ours may want to know besides."""

    job: str
    tier: str | None
    attempts: int
    cost_usd: float | None


class ChatCompletion(Frozen):
    """An answer in the shape of the OpenAI API."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: ChatUsage
    firstline: FirstlineFacts


def completion_of(model: str, status: JobStatus) -> ChatCompletion:
    """Return the answer of a job of one item; Refusal where it has none."""
    if not status.state.ended and not status.review:
        why = f"job {status.job} is {status.state.value}: {status.reason or 'by a person'}"
        raise Refusal(HTTPStatus.BAD_GATEWAY, why, headers=NO_RETRY)
    result = next(api.results(status.job))
    if result.status is not ItemState.SETTLED:
        raise Refusal(HTTPStatus.BAD_GATEWAY, f"job {status.job}: {_why(result)}", headers=NO_RETRY)
    with api.engine().db.reading() as tx:
        given, produced = views.tokens_of(tx, job=status.job)
    return ChatCompletion(
        id=f"chatcmpl-{status.job}",
        created=int(status.created_at.timestamp()),
        model=model,
        choices=(Choice(message=ChatMessage(content=result.text)),),
        usage=ChatUsage(
            prompt_tokens=given or 0, completion_tokens=produced or 0, total_tokens=(given or 0) + (produced or 0)
        ),
        firstline=FirstlineFacts(job=status.job, tier=result.tier, attempts=result.attempts, cost_usd=result.cost_usd),
    )


def _why(result: ItemResult) -> str:
    if result.status is ItemState.REVIEW:
        return f"it waits for a person: {result.reason or 'no model could answer'}"
    return result.reason or f"the item is {result.status.value}"


def chunks(body: dict[str, Any], *, usage: bool) -> Iterator[str]:
    """Yield a whole answer as a stream has it: nothing of it is sent before it has passed its checks."""
    head = {"id": body["id"], "object": "chat.completion.chunk", "created": body["created"], "model": body["model"]}
    message = body["choices"][0]["message"]
    calls = [{"index": n, **call} for n, call in enumerate(message.get("tool_calls") or ())]
    delta = {"role": "assistant", "content": message.get("content")} | ({"tool_calls": calls} if calls else {})
    yield event({**head, "choices": _delta(delta, None)})
    yield event({**head, "choices": _delta({}, body["choices"][0]["finish_reason"])})
    if usage:
        yield event({**head, "choices": [], "usage": body.get("usage")})
    yield DONE


def _delta(delta: dict[str, Any], finish: str | None) -> Sequence[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "finish_reason": finish}]


def event(data: dict[str, Any]) -> str:
    """Return one event of a stream."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def error_event(error: Refusal) -> str:
    """Return what tells a stream's reader that no answer will come."""
    return event({"error": {"message": str(error), "type": "server_error", "code": str(int(error.status))}})
