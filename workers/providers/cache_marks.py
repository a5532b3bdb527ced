"""Marks for a provider's prompt cache, as they stand in a request."""

from firstline.config.providers.prompt_caches import cache_of
from firstline.schemas.base import JsonObject, digest
from firstline.schemas.tier import CacheMarks
from firstline.workers.providers.gateway import Call, Message

_MARKS: dict[CacheMarks, JsonObject] = {
    CacheMarks.CACHE_CONTROL: {"cache_control": {"type": "ephemeral"}},
    CacheMarks.BREAKPOINT: {"prompt_cache_breakpoint": {"mode": "explicit"}},
}
#: Has OpenAI write nothing but what is marked.
_ONLY_MARKED: JsonObject = {"prompt_cache_options": {"mode": "explicit"}}


def marked(call: Call) -> tuple[list[Message], JsonObject]:
    """Return a call's messages with their mark, and the parameters that go with it."""
    cache = None if call.cached is None else cache_of(call.model)
    if cache is None or cache.marks is CacheMarks.AUTOMATIC:
        return list(call.messages), {}
    has_breakpoints, place = cache.marks is CacheMarks.BREAKPOINT, place_of_mark(call)
    if not call.cached or place is None:
        return list(call.messages), _ONLY_MARKED if has_breakpoints else {}
    # Requests with the same key go where their prefix lies.
    key: JsonObject = {"prompt_cache_key": digest([*call.messages[: place + 1]], length=32)}
    params = {**_ONLY_MARKED, **key} if has_breakpoints else {}
    message = call.messages[place]
    part: JsonObject = {"type": "text", "text": message["content"], **_MARKS[cache.marks]}
    return [*call.messages[:place], {**message, "content": [part]}, *call.messages[place + 1 :]], params


def place_of_mark(call: Call) -> int | None:
    """Return which of the static messages bears the mark: the last text of ours, for not all take one on a model's."""
    places = range(min(call.static, len(call.messages)) - 1, -1, -1)
    return next((place for place in places if _may_bear(call.messages[place])), None)


def _may_bear(message: Message) -> bool:
    return message.get("role") != "assistant" and isinstance(message.get("content"), str)
