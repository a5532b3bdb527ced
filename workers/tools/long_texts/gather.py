"""Puts the answers about a text's parts together, and says where in the whole text each comes from."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field
from pydantic_core import to_json

from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.plan import MOST_ELEMENTS
from firstline.schemas.tool import ToolResult
from firstline.workers.rules.json_paths import MISSING, dig
from firstline.workers.tools.base import Kind, Place, failed

_QUOTE_CHARS = 2000
_RESULT_CHARS = 5_000_000


class GatherOptions(Frozen):
    """What becomes of the answers."""

    #: merge: all elements of their lists, equal ones once; first: the first that found something; vote: what most say.
    how: Literal["merge", "first", "vote"] = "merge"
    #: Dotted field of each answer that is meant; the whole answer when empty.
    field: str = ""
    #: Field of an element (or of the answer) whose words stand in the part: its place is then told to the character.
    quote: str = ""


class GatherArguments(Frozen):
    """The answers, one for each part, in order."""

    answers: list[Json] = Field(max_length=MOST_ELEMENTS)
    #: What `split` gave; without it nobody knows where an answer comes from.
    parts: list[dict[str, Json]] = Field(default=[], max_length=MOST_ELEMENTS)


class _Found(Frozen):
    """One thing that was said, and where."""

    value: Json
    span: JsonObject


def gather(arguments: GatherArguments, options: GatherOptions, _: Place) -> ToolResult:
    """Return `value`, and `spans`: for each element (merge), or for the one answer, its places `{part, start, end}`.

    What is null, empty, or lacks the field was not found, and counts nowhere. `vote` also says `votes` and `of`.
    """
    parts = arguments.parts
    if parts and len(parts) != len(arguments.answers):
        return failed(f"expected an answer for each of the {len(parts)} parts, got {len(arguments.answers)}")
    found = [
        [_Found(value=value, span=_span(value, n, parts, options.quote)) for value in _said(answer, options)]
        for n, answer in enumerate(arguments.answers, 1)
    ]
    match options.how:
        case "merge":
            merged = _alike([one for some in found for one in some])
            return ToolResult(value={"value": [same[0].value for same in merged], "spans": list(map(_spans, merged))})
        case "first":
            first = next((some for some in found if some), [])
            return ToolResult(value={"value": first[0].value if first else None, "spans": _spans(first)})
        case "vote":
            said = _alike([one for some in found for one in some])
            most = max(said, key=len, default=[])
            value = most[0].value if most else None
            return ToolResult(
                value={"value": value, "spans": _spans(most), "votes": len(most), "of": sum(map(len, said))}
            )


def _said(answer: Json, options: GatherOptions) -> Iterator[Json]:
    """Yield what an answer holds: each element of a list that is merged, else the one value."""
    value = dig(answer, options.field) if options.field else answer
    if value is MISSING or value is None or value in ("", [], {}):
        return
    if options.how == "merge" and isinstance(value, list):
        yield from (one for one in value if one is not None)
    else:
        yield value


def _span(value: Json, n: int, parts: Sequence[JsonObject], quote: str) -> JsonObject:
    """Return where something stands: the words that it quotes, else the part that it was said of."""
    if not parts:
        return {"part": n}
    start, end, text = parts[n - 1].get("start"), parts[n - 1].get("end"), parts[n - 1].get("text")
    words = value.get(quote) if quote and isinstance(value, dict) else value if quote else None
    if isinstance(words, str) and isinstance(text, str) and isinstance(start, int):
        spaced = r"\s+".join(map(re.escape, words[:_QUOTE_CHARS].split()))
        if spaced and (match := re.search(spaced, text, re.IGNORECASE)):
            return {"part": n, "start": start + match.start(), "end": start + match.end()}
    return {"part": n, "start": start, "end": end}


def _alike(found: Sequence[_Found]) -> list[list[_Found]]:
    """Return what was said, what is the same but for case and spaces together, in the order of its first time."""
    groups: dict[bytes, list[_Found]] = {}
    for one in found:
        groups.setdefault(to_json(_bare(one.value)), []).append(one)
    return list(groups.values())


def _bare(value: Json) -> Json:
    match value:
        case str():
            return " ".join(value.casefold().split())
        case list():
            return list(map(_bare, value))
        case dict():
            return {name: _bare(value[name]) for name in sorted(value)}
        case _:
            return value


def _spans(found: Sequence[_Found]) -> list[Json]:
    """Return the places, each once: what stands in an overlap was read twice."""
    known: dict[tuple[Json, Json], JsonObject] = {}
    for one in found:
        place = (one.span.get("start"), one.span.get("end")) if "start" in one.span else (one.span["part"], None)
        known.setdefault(place, one.span)
    return list(known.values())


GATHER = Kind(
    name="gather",
    description="Put the answers about a text's parts together: merge lists, take the first found, or vote.",
    arguments=GatherArguments,
    options=GatherOptions,
    call=gather,
    bounds_itself=True,
    result_chars=_RESULT_CHARS,
)
