"""Requests that go to the top model unchanged: its answer as it came, token by token where that was asked for."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

import anyio

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.settings import get_settings
from firstline.orchestrator.core.worker_requirements import refuse_services
from firstline.orchestrator.money.budgets import Cap
from firstline.orchestrator.web.api.chat_answer import DONE, NO_RETRY, error_event, event
from firstline.orchestrator.web.api.chat_request import AUTO, ChatRequest
from firstline.orchestrator.web.api.pass_budget import Purse
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Model, Profile, Tier
from firstline.workers.providers.gateway import Call, PassError, Reply

#: Parameters that are no business of the provider's, or have a place of their own in a call.
_OURS = frozenset({"model", "messages", "stream", "tools"})
#: Statuses of a provider that the caller can do something about; the deployment's key is not among it.
_CALLERS = frozenset({400, 404, 408, 409, 413, 422, 429})


@dataclass(frozen=True)
class TopModel:
    """The model that answers what is not certified, and the ladder that it stands on."""

    profile: Profile

    @property
    def tier(self) -> Tier:
        """The top tier."""
        return self.profile.ladder[-1]

    @property
    def model(self) -> Model:
        """The model itself."""
        return self.tier.models[0]


def top_models(catalogue: Catalogue) -> dict[str, TopModel]:
    """Return the top models by every name that a request may use; the deployment's own profile goes first."""
    own = catalogue.profile(get_settings().profile)
    found = {AUTO: TopModel(own)}
    for profile in (own, *catalogue.profiles):
        top = TopModel(profile)
        for name in (top.model.name, top.model.name.partition("/")[2]):
            found.setdefault(name or top.model.name, top)
    return found


@cache
def _loaded() -> Any:
    from firstline.workers.providers.litellm_gateway import load

    return load()


@dataclass(frozen=True)
class Passing:
    """A request on its way to the top model."""

    top: TopModel
    body: ChatRequest
    #: The caller's own key for the provider, in place of the deployment's.
    own_key: str | None
    #: Told what came back, what it cost, and its text where it is a whole answer.
    tell: Callable[[Reply], None]
    #: The budgets that it must fit in, and who reserves in them; the caller's own key pays by itself.
    caps: tuple[Cap, ...] = ()
    purse: Callable[[], Purse] | None = None

    def _call(self) -> Call:
        asked = self.body.plain
        tools = asked.get("tools")
        messages = asked["messages"]
        assert isinstance(messages, list)
        return Call(
            model=self.top.model,
            messages=tuple(one for one in messages if isinstance(one, dict)),
            params={name: value for name, value in asked.items() if name not in _OURS},
            tools=tuple(one for one in tools if isinstance(one, dict)) if isinstance(tools, list) else (),
            timeout_s=self.top.tier.timeout_s,
        )

    async def _send(self, call: Call) -> Any:
        gateway = await anyio.to_thread.run_sync(_loaded)
        names = {name for name in call.params if name in self.body.plain} | ({"tools"} if call.tools else set())
        unknown = sorted(names - set(gateway.takes(call.model, names)))
        if unknown:
            raise UserError(f"{unknown[0]}: {call.model.name} does not take this parameter; leave it out")
        try:
            return await gateway.pass_on(call, key=self.own_key, stream=bool(self.body.stream))
        except PassError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: PassError) -> Refusal:
        """Return what the caller is told of a provider's error: as it came, but for what is the deployment's matter."""
        wait_s = error.reply.retry_after_s
        headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
        callers = _CALLERS | ({401, 403} if self.own_key else set())
        status = HTTPStatus(error.status) if error.status in callers else HTTPStatus.BAD_GATEWAY
        if status is HTTPStatus.BAD_REQUEST or (status is HTTPStatus.BAD_GATEWAY and error.status in (401, 403)):
            headers |= NO_RETRY
        return Refusal(status, f"{self.top.model.name}: {error}", headers=headers)

    async def whole(self) -> JsonObject:
        """Return the model's response; Refusal where it gave none."""
        refuse_services(self.top.profile)
        call = self._call()
        async with self._reserved(call) as spend:
            response = await self._send(call)
            spend(_loaded().bill(response, call))
        body: JsonObject = response.model_dump(mode="json")
        return body

    @asynccontextmanager
    async def _reserved(self, call: Call) -> AsyncIterator[Callable[[Reply], None]]:
        """Reserve what a call may cost; yield what is told its reply. Without one it is taken to have cost nothing."""
        replies: list[Reply] = []
        purse = self.purse() if self.purse is not None and self.caps else None
        permit = await purse.reserve(call, self.caps) if purse is not None else None
        try:
            yield replies.append
        except anyio.get_cancelled_exc_class():
            # Broken off under way: the provider may bill it, and nobody knows how much.
            replies.append(Reply())
            raise
        finally:
            for reply in replies:
                self.tell(reply)
            if purse is not None and permit is not None:
                with anyio.CancelScope(shield=True):
                    await purse.settle(permit, replies[0] if replies else None)

    async def begin(self) -> AsyncGenerator[str, None]:
        """Send the request, and return its events as they come; Refusal where it is not taken.

        The usage is asked for in any case, since the account needs it, and left out where the caller did not want it.
        """
        refuse_services(self.top.profile)
        call = self._call()
        asked = Call(
            model=call.model,
            messages=call.messages,
            params={**call.params, "stream_options": {"include_usage": True}},
            tools=call.tools,
            timeout_s=call.timeout_s,
        )
        stack = AsyncExitStack()
        spend = await stack.enter_async_context(self._reserved(asked))
        try:
            stream = await self._send(asked)
        except BaseException:
            await stack.aclose()
            raise
        return self._events(stream, asked, stack, spend)

    async def _events(
        self, stream: Any, call: Call, stack: AsyncExitStack, spend: Callable[[Reply], None]
    ) -> AsyncGenerator[str, None]:
        seen: list[Any] = []
        try:
            async for chunk in stream:
                seen.append(chunk)
                data = chunk.model_dump(mode="json", exclude_none=True)
                is_usage = not data.get("choices") and data.get("usage") is not None
                if not is_usage:
                    data.pop("usage", None)
                if not is_usage or self.body.streams_usage:
                    yield event({"choices": [], **data})
        except Exception as error:
            detail = f"{self.top.model.name}: the stream broke off ({type(error).__name__})"
            yield error_event(Refusal(HTTPStatus.BAD_GATEWAY, detail))
            return
        finally:
            spend(_loaded().bill(seen, call) if seen else Reply())
            await _close(stream)
            with anyio.CancelScope(shield=True):
                await stack.aclose()
        yield DONE


async def _close(stream: Any) -> None:
    """Close the connection to the provider: nothing more is generated for a caller who has gone."""
    with anyio.CancelScope(shield=True):
        source = getattr(stream, "completion_stream", stream)
        if hasattr(source, "close"):
            await source.close()
        elif hasattr(source, "aclose"):
            async with aclosing(source):
                pass
