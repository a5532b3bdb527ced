"""The OpenAI-compatible endpoint: a chat message becomes an item of a workflow, answered cheap-first."""

import json
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.store import views
from firstline.orchestrator.submission.item_fields import item_fields
from firstline.orchestrator.web.access import Submitter, Viewer, Visitor
from firstline.orchestrator.web.api.submission import JobOrder, request_of
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult, ItemState, JobStatus, Priority

router = APIRouter(prefix="/v1", tags=["openai"])

PREFIX = "firstline/"
_POLL_S = 0.1
_ERRORS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


class Part(BaseModel):
    """A part of a message; only texts are read."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str = Field(max_length=5_000_000)


class Message(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="ignore")

    role: str = Field(max_length=40)
    content: str | Annotated[list[Part], Field(max_length=100)] | None = Field(default=None)

    @property
    def text(self) -> str:
        """Its text, parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """What a stream is to hold besides the answer."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A request as clients of the OpenAI API send it; what sampling it asks for is the skills' business."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=120, description="`firstline/WORKFLOW`")
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def streams_usage(self) -> bool:
        """Whether the stream is to end with its usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


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


class ModelCard(Frozen):
    """A workflow as a model of the OpenAI API."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "firstline"


class ModelList(Frozen):
    """What may be named as `model`."""

    object: Literal["list"] = "list"
    data: tuple[ModelCard, ...]


@router.get("/models", responses=documented(), summary="Workflows as models (OpenAI-compatible)")
def list_models(visitor: Viewer) -> ModelList:
    """Return the workflows and skills that take one text."""
    catalogue = current_catalogue(visitor.tenant)
    names = sorted({*catalogue.workflows.names, *catalogue.skills.names})
    return ModelList(data=tuple(ModelCard(id=f"{PREFIX}{name}") for name in names if _takes_one(catalogue, name)))


@router.get("/models/{model:path}", responses=documented(HTTPStatus.NOT_FOUND), summary="One of them")
def get_model(visitor: Viewer, model: Annotated[str, Path(max_length=120)]) -> ModelCard:
    """Return a workflow or skill as a model, where it takes one text."""
    catalogue = current_catalogue(visitor.tenant)
    _field_of(catalogue, _known(catalogue, model))
    return ModelCard(id=model)


def _takes_one(catalogue: Catalogue, name: str) -> bool:
    try:
        _field_of(catalogue, name)
    except UserError:
        return False
    return True


@router.post(
    "/chat/completions",
    responses={
        **_ERRORS,
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The answer."},
    },
    response_model=ChatCompletion,
    summary="Answer one message (OpenAI-compatible)",
)
async def complete(body: ChatRequest, visitor: Submitter) -> Any:
    """Have the last user message answered by a workflow, cheap tier first; wait for it."""
    job = await anyio.to_thread.run_sync(_submit, body, visitor)
    status = await _ended(job)
    completion = await anyio.to_thread.run_sync(_completion, body, status)
    if body.stream:
        return StreamingResponse(_chunks(completion, usage=body.streams_usage), media_type="text/event-stream")
    return completion


def _submit(body: ChatRequest, visitor: Visitor) -> str:
    catalogue = current_catalogue(visitor.tenant)
    name = _known(catalogue, body.model)
    said = next((message.text for message in reversed(body.messages) if message.role == "user"), "")
    if not said.strip():
        raise UserError("messages: expected a last user message with text in it")
    order = JobOrder(workflow=name, name=f"chat {name}", priority=Priority.HIGH, dedupe=False)
    return api.submit(request_of(order, visitor, key=None), [{"id": "1", _field_of(catalogue, name): said}])


def _known(catalogue: Catalogue, model: str) -> str:
    """Return the name of the workflow or skill that a model is; refused where there is none."""
    name = model.removeprefix(PREFIX)
    if not model.startswith(PREFIX) or name not in {*catalogue.workflows.names, *catalogue.skills.names}:
        detail = f"no model is called '{model}'; models are {PREFIX}WORKFLOW, GET /v1/models lists them"
        raise Refusal(HTTPStatus.NOT_FOUND, detail)
    return name


def _field_of(catalogue: Catalogue, name: str) -> str:
    """Return the one field of an item that a workflow needs."""
    workflow = catalogue.workflow(name)
    fields = item_fields(workflow, catalogue.parts(workflow).skills)
    needed = [field for field, what in fields.items() if what.required] or list(fields)
    if len(needed) != 1:
        raise UserError(f"'{name}' needs {len(needed)} fields ({', '.join(needed)}), a message is one; submit a job")
    return needed[0]


async def _ended(job: str) -> JobStatus:
    """Wait for a job to come to rest; where the time runs out it is cancelled."""
    deadline_s = time.monotonic() + get_settings().api_answer_s
    while time.monotonic() < deadline_s:
        status = await anyio.to_thread.run_sync(api.status, job)
        if status.rests or status.review:
            return status
        await anyio.sleep(_POLL_S)
    await anyio.to_thread.run_sync(api.cancel, job)
    raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, f"job {job} had no answer within {get_settings().api_answer_s:g} s")


def _completion(body: ChatRequest, status: JobStatus) -> ChatCompletion:
    if not status.state.ended and not status.review:
        raise Refusal(
            HTTPStatus.BAD_GATEWAY, f"job {status.job} is {status.state.value}: {status.reason or 'by a person'}"
        )
    result = next(api.results(status.job))
    if result.status is not ItemState.SETTLED:
        raise Refusal(HTTPStatus.BAD_GATEWAY, f"job {status.job}: {_why(result)}")
    with api.engine().db.reading() as tx:
        given, produced = views.tokens_of(tx, job=status.job)
    return ChatCompletion(
        id=f"chatcmpl-{status.job}",
        created=int(status.created_at.timestamp()),
        model=body.model,
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


def _chunks(completion: ChatCompletion, *, usage: bool) -> Iterator[str]:
    """Yield the answer as a stream has it: nothing is sent before it has passed its checks, so it comes whole."""
    head = {"id": completion.id, "object": "chat.completion.chunk", "created": completion.created}
    head["model"] = completion.model
    content = completion.choices[0].message.content
    yield _event({**head, "choices": _delta({"role": "assistant", "content": content}, None)})
    yield _event({**head, "choices": _delta({}, "stop")})
    if usage:
        yield _event({**head, "choices": [], "usage": completion.usage.model_dump()})
    yield "data: [DONE]\n\n"


def _delta(delta: dict[str, str], finish: str | None) -> Sequence[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "finish_reason": finish}]


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
