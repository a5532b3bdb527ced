"""The OpenAI-compatible endpoint: a conversation for the top model's family, or a message for a workflow."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from firstline.config.catalogue.catalogue import Catalogue
from firstline.orchestrator import api
from firstline.orchestrator.money.budgets import tenant_caps
from firstline.orchestrator.quality.families.book import Book, Noted
from firstline.orchestrator.quality.families.family import Family
from firstline.orchestrator.quality.families.signature import Signature, signature_of
from firstline.orchestrator.submission.item_fields import item_fields
from firstline.orchestrator.web.access import Submitter, Viewer, Visitor, parts_while_in, turn_of, waits
from firstline.orchestrator.web.api.chat_answer import (
    DONE,
    KEEP_ALIVE,
    ChatCompletion,
    chunks,
    completion_of,
    error_event,
)
from firstline.orchestrator.web.api.chat_request import AUTO, PREFIX, ChatRequest
from firstline.orchestrator.web.api.job_answers import beats, ended
from firstline.orchestrator.web.api.kept_answers import KeptAnswer
from firstline.orchestrator.web.api.pass_budget import Purse
from firstline.orchestrator.web.api.submission import JobOrder, request_of
from firstline.orchestrator.web.api.top_model import Passing, TopModel, top_models
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.json_body import WaitingJsonRoute
from firstline.orchestrator.web.problem import EVENT, Refusal, documented
from firstline.schemas.access import Role
from firstline.schemas.base import Frozen, digest
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, Options, Priority
from firstline.workers.providers.gateway import Reply

router = APIRouter(route_class=WaitingJsonRoute, prefix="/v1", tags=["openai"])

_ERRORS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
#: Nginx's word for a client that has gone: nobody reads it.
_GONE = 499

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", max_length=200, description="The same key again has the same answer.")
]
OwnKey = Annotated[
    str | None,
    Header(alias="X-Provider-Key", max_length=500, description="The caller's own key for the top model's provider."),
]


class ModelCard(Frozen):
    """A model, or a workflow as one."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "firstline"


class ModelList(Frozen):
    """What may be named as `model`."""

    object: Literal["list"] = "list"
    data: tuple[ModelCard, ...]


@router.get("/models", responses=documented(), summary="What may be named as model (OpenAI-compatible)")
def list_models(visitor: Viewer) -> ModelList:
    """Return the top models, and the workflows and skills that take one text."""
    catalogue = current_catalogue(visitor.tenant)
    names = sorted({*catalogue.workflows.names, *catalogue.skills.names})
    able = [f"{PREFIX}{name}" for name in names if _takes_one(catalogue, name)]
    return ModelList(data=tuple(ModelCard(id=name) for name in (*top_models(catalogue), *able)))


@router.get("/models/{model:path}", responses=documented(HTTPStatus.NOT_FOUND), summary="One of them")
def get_model(visitor: Viewer, model: Annotated[str, Path(max_length=200)]) -> ModelCard:
    """Return a top model, or a workflow or skill as a model where it takes one text."""
    catalogue = current_catalogue(visitor.tenant)
    if model not in top_models(catalogue):
        _field_of(catalogue, _known(catalogue, model))
    return ModelCard(id=model)


@router.post(
    "/chat/completions",
    responses={
        **_ERRORS,
        200: {"content": {"text/event-stream": {"schema": EVENT}}, "description": "The answer."},
    },
    # What a top model says is passed on as it came.
    response_model=ChatCompletion | dict[str, Any],
    summary="Answer a conversation (OpenAI-compatible)",
)
async def complete(
    request: Request, body: ChatRequest, visitor: Submitter, key: IdempotencyKey = None, own_key: OwnKey = None
) -> Any:
    """Have a conversation answered: by its family's ladder where that is certified, else by the top model unchanged."""
    return sent(await answer(request, body, visitor, key=key, own_key=own_key))


@dataclass(frozen=True)
class Answered:
    """An answer in the shape of a chat completion; neither: the client has gone."""

    whole: dict[str, Any] | None = None
    #: The events of its stream.
    events: AsyncGenerator[str, None] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def sent(found: Answered) -> Response:
    """Return an answer as it is sent."""
    if found.events is not None:
        headers = {"x-accel-buffering": "no", **found.headers}
        return StreamingResponse(found.events, media_type="text/event-stream", headers=headers)
    return JSONResponse(found.whole, headers=found.headers) if found.whole is not None else Response(status_code=_GONE)


async def answer(
    request: Request, body: ChatRequest, visitor: Visitor, *, key: str | None, own_key: str | None
) -> Answered:
    """Return the answer to a conversation, or the same one as before under its key."""
    mine = waits(request)
    try:
        found = await _answer(request, body, visitor, key=key, own_key=own_key)
    except BaseException:
        mine.close()
        raise
    if found.events is None:
        mine.close()
        return found
    return replace(found, events=parts_while_in(request, found.events, mine))


async def _answer(
    request: Request, body: ChatRequest, visitor: Visitor, *, key: str | None, own_key: str | None
) -> Answered:
    async with turn_of(request):
        asking = await anyio.to_thread.run_sync(_asking, request, body, visitor, own_key)
    place = KeptAnswer(api.engine(), visitor.tenant, None if key is None else digest(key), digest(body.plain))
    before = await anyio.to_thread.run_sync(place.before)
    if before is not None:
        return Answered(events=_each(chunks(before, usage=body.streams_usage))) if body.stream else Answered(before)
    try:
        if body.stream:
            return Answered(events=await asking.stream(place))
        found = await _while_there(request, asking.whole())
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(place.give_up)
        raise
    if found is None:
        await anyio.to_thread.run_sync(place.give_up)
        return Answered()
    await anyio.to_thread.run_sync(place.keep, found)
    return Answered(found, headers=asking.headers)


async def _each(parts: Iterator[str]) -> AsyncGenerator[str, None]:
    for part in parts:
        yield part


@dataclass
class _Asking:
    """A request, and who may answer it."""

    request: Request
    body: ChatRequest
    #: Submits a job of one item that answers it; None: the top model does, unchanged.
    submit: Callable[[], str] | None
    #: None: a workflow or skill of the catalogue was named, and nobody else can answer.
    passing: Passing | None = None
    #: Told what the ladder took.
    served: Callable[[float | None], None] = lambda _: None
    family: Family | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a caller may want to know besides."""
        return {"x-firstline-family": self.family.id, "x-firstline-state": self.family.state} if self.family else {}

    async def whole(self) -> dict[str, Any]:
        """Return the answer; where the ladder has none, and there is a top model to ask, its own."""
        if self.submit is not None:
            try:
                status = await ended(await self._begun(self.submit))
                return await anyio.to_thread.run_sync(self._done, status)
            except Refusal:
                if self.passing is None:
                    raise
        assert self.passing is not None
        return await self.passing.whole()

    def _done(self, status: Any) -> dict[str, Any]:
        completion = completion_of(self.body.model, status)
        self.served(completion.firstline.cost_usd)
        return completion.model_dump(mode="json")

    async def stream(self, place: KeptAnswer) -> AsyncGenerator[str, None]:
        """Begin, and return the events of the answer; Refusal where it cannot even begin."""
        if self.submit is None:
            assert self.passing is not None
            # What streams token by token is gone when it has been read.
            await anyio.to_thread.run_sync(place.give_up)
            return await self.passing.begin()
        return self._events(await self._begun(self.submit), place)

    async def _begun(self, submit: Callable[[], str]) -> str:
        """Return the job that answers, begun when it is its tenant's turn: waiting for it holds no place."""
        async with turn_of(self.request):
            return await anyio.to_thread.run_sync(submit)

    async def _events(self, job: str, place: KeptAnswer) -> AsyncGenerator[str, None]:
        """Yield what a job comes to, and signs of life while it is under way."""
        try:
            status = None
            async with aclosing(beats(job)) as signs:
                async for status in signs:
                    if status is None:
                        yield KEEP_ALIVE
            found = await anyio.to_thread.run_sync(self._done, status)
        except Refusal as error:
            await anyio.to_thread.run_sync(place.give_up)
            async for part in self._instead(error):
                yield part
            return
        await anyio.to_thread.run_sync(place.keep, found)
        for part in chunks(found, usage=self.body.streams_usage):
            yield part

    async def _instead(self, error: Refusal) -> AsyncGenerator[str, None]:
        """Yield the top model's own answer where the ladder has none, else why there is none."""
        if self.passing is not None:
            try:
                async for part in await self.passing.begin():
                    yield part
                return
            except Refusal as refused:
                error = refused
        yield error_event(error)
        yield DONE


async def _while_there(request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | None:
    """Return what work comes to; None where the client went away meanwhile, and the work was cancelled."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# Who answers ------------------------------------------------------------------------------------------------------


def _asking(request: Request, body: ChatRequest, visitor: Visitor, own_key: str | None) -> _Asking:
    catalogue = current_catalogue(visitor.tenant)
    top = top_models(catalogue).get(body.model)
    if top is not None:
        return _of_family(request, top, body, visitor, own_key)
    name = _known(catalogue, body.model)
    return _Asking(request, body, partial(_submit, catalogue, name, body.only_text(), visitor))


def _of_family(request: Request, top: TopModel, body: ChatRequest, visitor: Visitor, own_key: str | None) -> _Asking:
    book = book_of(request)
    signature = signature_of(body.plain, tenant=visitor.tenant, model=top.model.name, profile=top.profile.name)
    if own_key is not None:
        # Whoever pays by themselves is asked for nothing else.
        return _Asking(request, body, None, Passing(top, body, own_key, lambda _: None))
    family = book.find(signature)
    with api.engine().db.reading() as tx:
        caps = tenant_caps(tx, visitor.tenant)
    passing = Passing(top, body, None, partial(_note_passed, book, signature, body), caps, partial(_purse, request))
    if family is None or not family.is_served:
        return _Asking(request, body, None, passing, family=family)
    return _Asking(
        request,
        body,
        partial(_submit_served, family, top, body, visitor.role),
        passing,
        partial(_note_served, book, signature),
        family,
    )


def _note_passed(book: Book, signature: Signature, body: ChatRequest, reply: Reply) -> None:
    is_whole = reply.error is None and not reply.tool_calls and signature.straight is None
    book.note(
        Noted(
            signature,
            served=False,
            usd=reply.cost_usd,
            messages=body.plain["messages"] if is_whole else None,  # type: ignore[arg-type]
            answer=reply.text if is_whole else None,
        )
    )


def _note_served(book: Book, signature: Signature, usd: float | None) -> None:
    book.note(Noted(signature, served=True, usd=usd))


def _submit_served(family: Family, top: TopModel, body: ChatRequest, role: Role) -> str:
    # numpy and scipy are loaded where something is certified, not here.
    from firstline.orchestrator.quality.families.family_skill import CONVERSATION, skill_of, workflow_of

    asked = JobRequest(
        workflow=workflow_of(skill_of(family)),
        name=f"chat {family.name}",
        profile=top.profile,
        options=Options(profile=top.profile.name, priority=Priority.HIGH, tenant=family.tenant, dedupe=False),
        role=role,
    )
    return api.submit(asked, [{"id": "1", CONVERSATION: body.plain["messages"]}])


def _purse(request: Request) -> Purse:
    """Return the purse of the process's loop, made when it is first wanted there."""
    state = request.app.state
    if state.purse is None:
        state.purse = Purse(api.engine())
    assert isinstance(state.purse, Purse)
    return state.purse


def book_of(request: Request) -> Book:
    """Return the process's book of families, begun when it is first wanted."""
    state = request.app.state
    with state.book_lock:
        if state.book is None:
            state.book = Book(api.engine())
            state.book.start()
        book = state.book
    assert isinstance(book, Book)
    return book


def _submit(catalogue: Catalogue, name: str, said: str, visitor: Visitor) -> str:
    order = JobOrder(workflow=name, name=f"chat {name}", priority=Priority.HIGH, dedupe=False)
    return api.submit(request_of(order, visitor, key=None), [{"id": "1", _field_of(catalogue, name): said}])


def _takes_one(catalogue: Catalogue, name: str) -> bool:
    try:
        _field_of(catalogue, name)
    except UserError:
        return False
    return True


def _known(catalogue: Catalogue, model: str) -> str:
    """Return the name of the workflow or skill that a model is; refused where there is none."""
    name = model.removeprefix(PREFIX)
    if not model.startswith(PREFIX) or name not in {*catalogue.workflows.names, *catalogue.skills.names}:
        detail = (
            f"no model is called '{model}'; models are {AUTO}, a top model, {PREFIX}WORKFLOW; GET /v1/models lists them"
        )
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
