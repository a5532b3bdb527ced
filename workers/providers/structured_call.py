"""One call for JSON: walks down the ladder of ways to ask until the endpoint takes one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from firstline.workers.providers.gateway import Call, Reply, ToolCall
from firstline.workers.providers.structured_output import Asked, Memory, Parsed, ask, parse

N = TypeVar("N", int, float)

Send = Callable[[Call], Awaitable[Reply]]

#: Errors of an answer: it came, and was paid for.
_ANSWERED = (ErrorKind.MALFORMED, ErrorKind.TRUNCATED, ErrorKind.REFUSED, ErrorKind.EMPTY, ErrorKind.CONTENT_FILTER)

#: Errors that may mean "I do not know this way to ask".
_REFUSALS = (ErrorKind.BAD_REQUEST, ErrorKind.NOT_FOUND)
_ABOUT_ASKING = ("response_format", "json_schema", "json_object", "schema", "tool", "function", "grammar")
#: The schema itself was found wanting: says nothing of the endpoint.
_ABOUT_THE_SCHEMA = ("invalid schema", "invalid_json_schema", "invalid_function_parameters")


async def ask_for_json(call: Call, send: Send, memory: Memory) -> Reply:
    """Ask for a value of the call's schema; the reply sums up the tokens and dollars of every answer paid for.

    A way to ask that the endpoint refuses costs nothing and is followed by the next one at once. An endpoint not yet
    known to honour a way, whose answer shows no regard for the schema, is asked once more, with the schema in the
    prompt: two paid answers at most.
    """
    paid: list[Reply] = []
    refused: list[Structured] = []
    rungs = _rungs(call, memory)
    while True:
        rung = rungs.pop(0)
        asked = ask(rung, call.messages, call.schema or {}, call.schema_name)
        reply = await send(_request(call, asked))
        if rungs and _is_refusal(reply, call, rung, memory):
            refused += [] if _mentions(reply, _ABOUT_THE_SCHEMA) else [rung]
            continue
        final = not rungs or bool(paid)
        reply, regarded = _read(reply, asked, proven=final or memory.is_proven(call.model, rung))
        if final or regarded:
            break
        memory.ignored(call.model, rung)
        paid.append(reply)
        rungs = [later for later in rungs if later is not Structured.TOOL_CALL] or rungs
    if reply.error is None:
        memory.worked(call.model, rung, instead_of=refused)
    return _sum(paid, reply)


def read_json(reply: Reply, asked: Asked) -> Reply:
    """Return a reply that was asked for in that way with the value in its text."""
    return _read(reply, asked, proven=True)[0]


def _rungs(call: Call, memory: Memory) -> list[Structured]:
    """Return the ways to try; a forced tool call would keep the model from the tools that the call offers."""
    known = memory.rungs(call.model)
    return [rung for rung in known if not (call.tools and rung is Structured.TOOL_CALL)] or [Structured.PROMPT]


def _request(call: Call, asked: Asked) -> Call:
    """Return the call as sent on a rung: no schema left, all in messages, tools and parameters."""
    added = {name: value for name, value in asked.params.items() if name != "tools"}
    tools = asked.params.get("tools")
    offered = tuple(tool for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else call.tools
    params: JsonObject = {**call.params, **added}
    return replace(call, messages=asked.messages, params=params, tools=offered, schema=None)


def _is_refusal(reply: Reply, call: Call, rung: Structured, memory: Memory) -> bool:
    if reply.error not in _REFUSALS:
        return False
    return _mentions(reply, _ABOUT_ASKING) or (
        reply.error is ErrorKind.BAD_REQUEST and not memory.is_proven(call.model, rung)
    )


def _mentions(reply: Reply, words: tuple[str, ...]) -> bool:
    detail = (reply.detail or "").lower()
    return any(word in detail for word in words)


def _read(reply: Reply, asked: Asked, *, proven: bool) -> tuple[Reply, bool]:
    """Return the reply with its value, and whether it shows regard for the schema (unless proven, this is checked)."""
    text, wishes = _answer(reply, asked)
    reply = replace(reply, text=text, tool_calls=wishes, structured=asked.rung.value)
    if wishes or (reply.error is not None and reply.error is not ErrorKind.EMPTY):
        return reply, True
    parsed = parse(text or "", asked, validate=not proven)
    if parsed is None and reply.error is ErrorKind.EMPTY:
        return reply, True
    return _valued(reply, parsed), proven or (parsed is not None and parsed.on_schema is True)


def _answer(reply: Reply, asked: Asked) -> tuple[str | None, tuple[ToolCall, ...]]:
    """Return the text that holds the JSON, and the tool calls that are wishes for tools rather than the answer."""
    if asked.rung is not Structured.TOOL_CALL or not reply.tool_calls:
        return reply.text, reply.tool_calls
    return reply.tool_calls[0].raw, ()


def _valued(reply: Reply, parsed: Parsed | None) -> Reply:
    if parsed is None:
        detail = f"expected JSON, got: {(reply.text or '')!r:.120}"
        return replace(reply, error=ErrorKind.MALFORMED, detail=detail)
    structured = f"{reply.structured}+repair" if parsed.repaired else reply.structured
    return replace(reply, value=parsed.value, structured=structured, error=None, detail=None)


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
