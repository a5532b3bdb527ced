"""One call for JSON: walks down the ways to ask until the endpoint takes one, and reads the one answer."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from firstline.workers.providers.answer_reader import NoAnswer, read_answer, read_plain
from firstline.workers.providers.gateway import Call, Refusal, Reply, ToolCall
from firstline.workers.providers.mode_memory import ModeMemory
from firstline.workers.providers.structured_output import ModeRequest, ask, strict_of

N = TypeVar("N", int, float)

Send = Callable[[Call], Awaitable[Reply]]

#: Errors of an answer: it came, and was paid for.
_ANSWERED = (ErrorKind.MALFORMED, ErrorKind.TRUNCATED, ErrorKind.REFUSED, ErrorKind.EMPTY, ErrorKind.CONTENT_FILTER)

#: Errors that may mean "I do not know this way to ask".
_REFUSALS = (ErrorKind.BAD_REQUEST, ErrorKind.NOT_FOUND)
_ABOUT_ASKING = ("response_format", "json_schema", "json_object", "schema", "tool", "function", "grammar")
#: The schema itself was found wanting: says nothing of the endpoint.
_ABOUT_THE_SCHEMA = ("invalid schema", "invalid_json_schema", "invalid_function_parameters")


async def ask_for_json(call: Call, send: Send, memory: ModeMemory) -> Reply:
    """Ask for a value of the call's schema; the reply sums up the tokens and dollars of every answer paid for.

    A way to ask that the endpoint refuses costs nothing and is followed by the next one at once; the reply lists it. An
    endpoint not yet known to honour a way, whose answer shows no regard for the schema, is asked once more, with the
    schema in the prompt: two paid answers at most.
    """
    await memory.learn()
    async with memory.scouting(call.model, call.schema or {}):
        return await _ask(call, send, memory)


def read_json(reply: Reply, asked: ModeRequest) -> Reply:
    """Return a reply that was asked for in that way with the value in its text."""
    return _read(reply, asked, proven=True)[0]


def read_text(reply: Reply) -> Reply:
    """Return a reply of plain text with the text alone as its value: what the model thought is none of it."""
    if reply.error is not None or reply.text is None or reply.tool_calls:
        return reply
    text, span = read_plain(reply.text)
    if not text:
        return replace(reply, error=ErrorKind.EMPTY, detail="expected an answer, got nothing but thoughts")
    return replace(reply, value=text, span=span)


async def _ask(call: Call, send: Send, memory: ModeMemory) -> Reply:
    paid: list[Reply] = []
    refused: list[tuple[Structured, Reply]] = []
    modes = _modes(call, memory)
    while True:
        mode = modes.pop(0)
        asked = ask(mode, call.messages, call.schema or {}, call.schema_name, strict_of(call.model))
        reply = await send(request_as(call, asked))
        if modes and _is_refusal(reply, call, mode, memory):
            refused.append((mode, reply))
            continue
        final = not modes or bool(paid)
        reply, regarded = _read(reply, asked, proven=final or memory.is_proven(call.model, mode))
        if final or regarded:
            break
        memory.ignored(call.model, mode)
        paid.append(reply)
        modes = [later for later in modes if later is not Structured.TOOL_CALL] or modes
    if reply.error is None:
        _remember(call, mode, refused, memory)
    return replace(_sum(paid, reply), refusals=tuple(_refusal(mode, one) for mode, one in refused))


def _remember(call: Call, mode: Structured, refused: list[tuple[Structured, Reply]], memory: ModeMemory) -> None:
    """Remember a good answer, and the modes that were refused on the way to it."""
    schema = call.schema or {}
    for tried, reply in refused:
        is_schemas = _mentions(reply, _ABOUT_THE_SCHEMA) or memory.has_worked(call.model, tried)
        memory.refused(call.model, tried, schema if is_schemas else None)
    memory.worked(call.model, mode)
    memory.settle(call.model, schema)


def _refusal(mode: Structured, reply: Reply) -> Refusal:
    return Refusal(reply.error or ErrorKind.BAD_REQUEST, reply.detail, reply.latency_s, mode=mode.value)


def _modes(call: Call, memory: ModeMemory) -> list[Structured]:
    """Return the ways to try; a forced tool call would keep the model from the tools that the call offers."""
    known = memory.modes(call.model, call.schema or {})
    return [mode for mode in known if not (call.tools and mode is Structured.TOOL_CALL)] or [Structured.PROMPT]


def request_as(call: Call, asked: ModeRequest) -> Call:
    """Return the call as sent in a mode: no schema left, all in messages, tools and parameters."""
    added = {name: value for name, value in asked.params.items() if name != "tools"}
    tools = asked.params.get("tools")
    offered = tuple(tool for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else call.tools
    params: JsonObject = {**call.params, **added}
    return replace(call, messages=asked.messages, params=params, tools=offered, schema=None)


def _is_refusal(reply: Reply, call: Call, mode: Structured, memory: ModeMemory) -> bool:
    if reply.error not in _REFUSALS:
        return False
    return _mentions(reply, _ABOUT_ASKING) or (
        reply.error is ErrorKind.BAD_REQUEST and not memory.is_proven(call.model, mode)
    )


def _mentions(reply: Reply, words: tuple[str, ...]) -> bool:
    detail = (reply.detail or "").lower()
    return any(word in detail for word in words)


def _read(reply: Reply, asked: ModeRequest, *, proven: bool) -> tuple[Reply, bool]:
    """Return the reply with its value, and whether it shows regard for the schema (unless proven, this is checked)."""
    text, wishes = _answer(reply, asked)
    answers = {call.raw for call in reply.tool_calls}
    reply = replace(reply, text=text, tool_calls=wishes, structured=asked.mode.value)
    if len(answers) > 1 and not wishes and reply.error is None:
        return replace(reply, error=ErrorKind.MALFORMED, detail="expected one answer, got several tool calls"), proven
    if wishes or (reply.error is not None and reply.error is not ErrorKind.EMPTY) or not text:
        return reply, True
    try:
        found = read_answer(text, asked.form, validate=not proven)
    except Exception as error:  # whatever a model wrote: it was paid for, and is on record
        found = NoAnswer(f"the answer cannot be read: {type(error).__name__}: {error!s:.200}")
    if isinstance(found, NoAnswer):
        return replace(reply, error=ErrorKind.MALFORMED, detail=found.why), proven
    mode = f"{reply.structured}+repair" if found.mends else reply.structured
    told = replace(
        reply,
        value=asked.plain(found.value),
        span=found.span,
        structured=mode,
        mends=found.mends,
        error=None,
        detail=None,
    )
    return told, proven or found.on_schema is True


def _answer(reply: Reply, asked: ModeRequest) -> tuple[str | None, tuple[ToolCall, ...]]:
    """Return the text that holds the JSON, and the tool calls that are wishes for tools rather than the answer."""
    if asked.mode is not Structured.TOOL_CALL or not reply.tool_calls:
        return reply.text, reply.tool_calls
    return reply.tool_calls[0].raw, ()


def _sum(paid: list[Reply], reply: Reply) -> Reply:
    """Add the earlier answers to the last one, or to each other where the last call brought no answer at all."""
    if not paid:
        return reply
    if reply.error is not None and reply.error not in _ANSWERED:
        return _sum(paid[:-1], paid[-1])
    every = [*paid, reply]
    return replace(
        reply,
        usage=_sum_usage([one.usage for one in every]),
        cost_usd=_total([one.cost_usd for one in every]),
        latency_s=sum(one.latency_s for one in every),
        calls=sum(one.calls for one in every),
    )


def _sum_usage(usages: list[Usage]) -> Usage:
    return Usage(**{kind: _total([getattr(one, kind) for one in usages]) for kind in Usage.model_fields})


def _total(figures: list[N | None]) -> N | None:
    """Return the sum; unknown if one part is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known[1:], start=known[0]) if known and len(known) == len(figures) else None
