"""Prompts that hold several items: taken apart for the rule that answers one, and the answers put together again."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from firstline.schemas.base import Json, JsonObject
from firstline.workers.simulator.chat import Chat

_ITEM = re.compile(r'^<item n="(\w+)">\n(.*?)\n</item>$', re.DOTALL | re.MULTILINE)


def parts_of(chat: Chat) -> list[Chat]:
    """Return a request for each item of a pack (`execution.packing`), as if it came alone; none if it is no pack."""
    inner = _inner_schema(chat.schema)
    if inner is None:
        return []
    return [replace(chat, users=(item,), schema=inner) for _, item in _ITEM.findall(chat.last_user)]


def joined(texts: Sequence[str], chat: Chat) -> str:
    """Return the answers of a pack's items as the pack's answer, each under its item's code."""
    keys = [key for key, _ in _ITEM.findall(chat.last_user)]
    results: list[Json] = [{"n": key, "answer": _value(text)} for key, text in zip(keys, texts, strict=True)]
    return json.dumps({"results": results}, ensure_ascii=False)


def _inner_schema(schema: JsonObject | None) -> JsonObject | None:
    match schema:
        case {"properties": {"results": {"items": {"properties": {"n": _, "answer": dict() as inner}}}}}:
            shared = {name: part for name, part in (schema or {}).items() if name in ("$defs", "definitions")}
            return {**inner, **shared}
        case _:
            return None


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
