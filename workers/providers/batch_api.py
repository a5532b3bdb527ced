"""A provider's Batch API in OpenAI's shape: a file of requests in, files of answers out, within a day."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Lane, Model, Structured
from firstline.workers.providers.billing import booked, free
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.provider_errors import failure_of
from firstline.workers.providers.response_parser import read_reply
from firstline.workers.providers.structured_call import read_json, read_text
from firstline.workers.providers.structured_output import Asked, ask

_ENDPOINT = "/v1/chat/completions"
#: Name under which a bulk's id stands in the provider's metadata, so that it is found again.
_MARK = "firstline_bulk"
_ENDED = frozenset({"completed", "expired", "failed", "cancelled"})
#: Bulks of the recent past that are searched for one of ours.
_LISTED = 100
#: Ways to ask for JSON that need no second call.
_MODES = (Structured.JSON_SCHEMA, Structured.JSON_OBJECT, Structured.PROMPT)


class BulkError(Exception):
    """The provider refused or could not be reached; the reply says how, as for a single call."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.detail)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the provider is."""

    status: str
    #: Files of answers and of failures, where there are any.
    files: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in _ENDED


@dataclass(frozen=True)
class BulkApi:
    """Calls litellm's file and batch functions; errors of the provider are raised as `BulkError`."""

    litellm: Any
    key_of: Callable[[Model], str | None]
    #: Returns the reply that an error amounts to.
    failed: Callable[[Exception, Model], Reply]

    async def submit(self, model: Model, calls: Mapping[str, Call], *, mark: str) -> str:
        """Hand calls over, each under its id; return the provider's name for the bulk."""
        lines = (json.dumps(_line(name, call), ensure_ascii=False) for name, call in calls.items())
        content = BytesIO("\n".join(lines).encode())
        file = await self._do(
            model, self.litellm.acreate_file, file=(f"{mark}.jsonl", content, "application/jsonl"), purpose="batch"
        )
        made = await self._do(
            model,
            self.litellm.acreate_batch,
            completion_window="24h",
            endpoint=_ENDPOINT,
            input_file_id=file.id,
            metadata={_MARK: mark},
        )
        return str(made.id)

    async def find(self, model: Model, *, mark: str) -> str | None:
        """Return the provider's name of a bulk that was submitted before, if it knows one."""
        page = await self._do(model, self.litellm.alist_batches, limit=_LISTED)
        found = (one.id for one in page.data if (getattr(one, "metadata", None) or {}).get(_MARK) == mark)
        return next((str(name) for name in found), None)

    async def look(self, model: Model, name: str) -> Progress:
        """Return how far a bulk is."""
        said = await self._do(model, self.litellm.aretrieve_batch, batch_id=name)
        files = tuple(file for file in (said.output_file_id, said.error_file_id) if file)
        return Progress(str(said.status), files, _problem(said))

    async def cancel(self, model: Model, name: str) -> None:
        """Have the provider answer no more of a bulk."""
        await self._do(model, self.litellm.acancel_batch, batch_id=name)

    async def answers(self, model: Model, progress: Progress, calls: Mapping[str, Call]) -> dict[str, Reply]:
        """Return the reply to each call that came back, refusals among them; what has expired is left out."""
        found: dict[str, Reply] = {}
        for file in progress.files:
            content = await self._do(model, self.litellm.afile_content, file_id=file)
            for line in content.content.decode("utf-8").splitlines():
                answer = json.loads(line) if line.strip() else {}
                call = calls.get(str(answer.get("custom_id")))
                reply = None if call is None else self._reply(answer, call)
                if reply is not None:
                    found[str(answer["custom_id"])] = reply
        return found

    def _reply(self, answer: Mapping[str, Any], call: Call) -> Reply | None:
        told = answer.get("response")
        if told is None:
            return None
        body = told.get("body") or {}
        status = told.get("status_code")
        if status != 200:
            failure = failure_of(status, json.dumps(body), {})
            return free(Reply(error=failure.kind, detail=failure.detail))
        reply = booked(read_reply(body, call), body, call.model, lane=Lane.BATCH)
        return read_text(reply) if call.schema is None else read_json(reply, _asked(call))

    async def _do(self, model: Model, act: Callable[..., Any], **arguments: Any) -> Any:
        key = self.key_of(model)
        if key is None and model.api_key_env is not None:
            detail = f"no key: expected it in the environment variable {model.api_key_env} of the workers"
            raise BulkError(Reply(error=ErrorKind.NO_KEY, detail=detail))
        place = {"api_base": model.api_base, "api_key": key or ("none" if model.api_base else None)}
        known = {name: value for name, value in place.items() if value is not None}
        try:
            return await act(custom_llm_provider=model.name.partition("/")[0], **known, **arguments)
        except Exception as error:
            raise BulkError(self.failed(error, model)) from None


def _asked(call: Call) -> Asked:
    """Return how a call asks for JSON: by the model's first way that needs no forced tool."""
    mode = next((mode for mode in call.model.structured if mode in _MODES), Structured.PROMPT)
    return ask(mode, call.messages, call.schema or {}, call.schema_name)


def _line(name: str, call: Call) -> JsonObject:
    params: JsonObject = {**call.model.params, **call.params}
    messages = call.messages
    if call.schema is not None:
        asked = _asked(call)
        params, messages = {**params, **asked.params}, asked.messages
    if call.top_logprobs is not None:
        params |= {"logprobs": True, "top_logprobs": call.top_logprobs or None}
    name_there = call.model.name.partition("/")[2] or call.model.name
    body: JsonObject = {"model": name_there, "messages": list(messages), **params}
    told: JsonObject = {field: value for field, value in body.items() if value is not None}
    return {"custom_id": name, "method": "POST", "url": _ENDPOINT, "body": told}


def _problem(said: Any) -> str | None:
    errors = getattr(getattr(said, "errors", None), "data", None) or ()
    return next((str(getattr(error, "message", error)) for error in errors), None)
