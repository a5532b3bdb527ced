"""How far an enum's chosen label leads the others, by the alternatives that the model saw at each token."""

import json
import math
from collections.abc import Sequence

from firstline.schemas.attempt import TokenLogprob
from firstline.schemas.base import Json, JsonObject
from firstline.workers.confidence.spans import Placed, Span, leaves, matching, place, within
from firstline.workers.providers.structured_output import WRAP


def margin(tokens: Sequence[TokenLogprob], schema: JsonObject, field: str | None = None) -> float | None:
    """Return the probability of the chosen label among the labels of its enum, 0..1; of several enums the least.

    Log-probabilities come before the grammar that a schema enforces, so that mass on tokens which begin no label is
    set aside: at each token the chosen label's share of the mass on tokens that begin some label still possible;
    the product over the tokens until one label is left. None where no enum, log-probability or alternative is given.
    """
    placed = place(tokens)
    text = "".join(token.token for token in tokens)
    found = [
        _share(placed, text, span, labels)
        for span in matching(leaves(text), field, WRAP)
        if (labels := _labels(schema, span.path))
    ]
    known = [share for share in found if share is not None]
    return min(known) if known and len(known) == len(found) else None


def _share(placed: Sequence[Placed], text: str, span: Span, labels: Sequence[str]) -> float | None:
    """Return the product of the chosen label's shares; None when a deciding token has no alternatives."""
    chosen = text[span.start : span.end]
    if chosen not in labels:
        return None
    share, written = 1.0, ""
    # One further: the token that closes a label tells it from longer ones (`card`, `card_lost`).
    for token in within(placed, Span(span.path, span.start, span.end + 1)):
        possible = [label for label in labels if label.startswith(written)]
        if len(possible) < 2:
            break
        part = _part(token, span, chosen, possible, written)
        if part is None:
            return None
        share *= part
        written = chosen[: max(0, token.end - span.start)]
    return share


def _part(token: Placed, span: Span, chosen: str, possible: Sequence[str], written: str) -> float | None:
    """Return the chosen label's share of the mass at one token; None where alternatives or masses are unknown."""
    lead = token.token.token[: max(0, span.start - token.start)]
    alternatives = {token.token.token: token.token.logprob, **dict(token.token.top)}
    if len(token.token.top) < 2 or any(map(math.isnan, alternatives.values())):
        return None
    ours = every = 0.0
    for text, logprob in alternatives.items():
        begun = _begun(text, lead, written, possible, quoted=span.quoted)
        every += math.exp(min(0.0, logprob)) if begun else 0.0
        ours += math.exp(min(0.0, logprob)) if chosen in begun else 0.0
    return ours / every if every > 0 else None


def _begun(text: str, lead: str, written: str, possible: Sequence[str], *, quoted: bool) -> frozenset[str]:
    """Return the labels that a label written so far may become with this token."""
    own = text.removeprefix(lead) if lead else text
    if not written:
        own = own.lstrip().removeprefix('"' if quoted else "").lstrip()
    body, ended = _until_end(own, quoted=quoted)
    if not body and not ended:
        return frozenset()
    sofar = written + body
    return frozenset(label for label in possible if label == sofar or (not ended and label.startswith(sofar)))


def _until_end(text: str, *, quoted: bool) -> tuple[str, bool]:
    ends = [at for mark in ('"' if quoted else ",}]\n") if (at := text.find(mark)) >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def _labels(schema: JsonObject, path: str) -> list[str]:
    """Return the labels of the enum that the schema has at a path, as they are written in JSON without quotes."""
    parts = [part for part in path.split(".") if part]
    if parts[:1] == [WRAP] and "properties" not in schema:
        parts = parts[1:]
    at = _resolved(schema, schema)
    for part in parts:
        at = _resolved(_below(at, part), schema)
    listed = at.get("enum")
    return (
        [label if isinstance(label, str) else json.dumps(label) for label in listed] if isinstance(listed, list) else []
    )


def _below(schema: JsonObject, part: str) -> Json:
    properties = schema.get("properties")
    return properties.get(part) if isinstance(properties, dict) and part in properties else schema.get("items")


def _resolved(schema: Json, root: JsonObject) -> JsonObject:
    match schema:
        case {"$ref": str() as reference} if reference.startswith("#/"):
            found: Json = root
            for part in reference[2:].split("/"):
                found = found.get(part) if isinstance(found, dict) else None
            return found if isinstance(found, dict) else {}
        case dict():
            return schema
        case _:
            return {}
