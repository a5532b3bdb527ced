"""How far an enum's chosen label leads the others, by the alternatives that the model saw at each token."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from firstline.schemas.base import Json, JsonObject
from firstline.workers.confidence.spans import AnswerTokens, PlacedToken
from firstline.workers.rules.json_text import Leaf, read_json, same

_NO_LABEL = object()


@dataclass(frozen=True, slots=True)
class _Label:
    """A label of an enum, in the ways in which JSON may spell it."""

    spellings: frozenset[str]

    def may_follow(self, written: str, *, ended: bool) -> bool:
        """Say whether what is written may become this label, or is it where it has ended."""
        return any(one == written or (not ended and one.startswith(written)) for one in self.spellings)


def margin(answer: AnswerTokens | None, schema: JsonObject, field: str | None = None) -> float | None:
    """Return the probability of the chosen label among the labels of its enum, 0..1; of several enums the least.

    Log-probabilities come before the grammar that a schema enforces, so that mass on tokens which begin no label is
    set aside: at each token the chosen label's share of the mass on tokens that begin some label still possible;
    the product over the tokens until one label is left. None where no enum, log-probability or alternative is given.
    """
    if answer is None:
        return None
    found = [_share(answer, leaf, labels) for leaf in answer.matching(field) if (labels := _labels(schema, leaf.path))]
    known = [share for share in found if share is not None]
    return min(known) if known and len(known) == len(found) else None


def _share(answer: AnswerTokens, leaf: Leaf, listed: Sequence[Json]) -> float | None:
    """Return the product of the chosen label's shares; None when a deciding token has no alternatives."""
    chosen = answer.text[leaf.start : leaf.end]
    ours = next((label for label in listed if _is(label, chosen, quoted=leaf.quoted)), _NO_LABEL)
    if ours is _NO_LABEL:
        return None
    labels = [_spelt(label, chosen if label is ours else None) for label in listed]
    share, written = 1.0, ""
    # One further: the token that closes a label tells it from longer ones (`card`, `card_lost`).
    for token in answer.within(leaf.start, leaf.end + 1):
        possible = [label for label in labels if label.may_follow(written, ended=False)]
        if len(possible) < 2:
            break
        part = _part(token, leaf, chosen, possible, written)
        if part is None:
            return None
        share *= part
        written = chosen[: max(0, token.end - leaf.start)]
    return share


def _is(label: Json, chosen: str, *, quoted: bool) -> bool:
    """Say whether a label is what is written, however its letters are escaped."""
    try:
        said = read_json(f'"{chosen}"' if quoted or isinstance(label, str) else chosen)
    except ValueError:
        return label == chosen
    return same(label, said)


def _spelt(label: Json, chosen: str | None) -> _Label:
    if isinstance(label, str):
        ways = {json.dumps(label, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    else:
        ways = {json.dumps(label)}
    return _Label(frozenset(ways if chosen is None else ways | {chosen}))


def _part(token: PlacedToken, leaf: Leaf, chosen: str, possible: Sequence[_Label], written: str) -> float | None:
    """Return the chosen label's share of the mass at one token; None where alternatives or masses are unknown."""
    lead = token.token.token[: max(0, leaf.start - token.start)]
    alternatives = {token.token.token: token.token.logprob, **dict(token.token.top)}
    if len(token.token.top) < 2 or any(logprob is None or math.isnan(logprob) for logprob in alternatives.values()):
        return None
    ours = every = 0.0
    for text, logprob in alternatives.items():
        begun = _begun(text, lead, written, possible, quoted=leaf.quoted)
        mass = math.exp(min(0.0, logprob or 0.0))
        every += mass if begun else 0.0
        ours += mass if any(chosen in label.spellings for label in begun) else 0.0
    return ours / every if every > 0 else None


def _begun(text: str, lead: str, written: str, possible: Sequence[_Label], *, quoted: bool) -> frozenset[_Label]:
    """Return the labels that a label written so far may become with this token."""
    own = text.removeprefix(lead) if lead else text
    if not written:
        own = own.lstrip().removeprefix('"' if quoted else "").lstrip()
    body, ended = _until_end(own, quoted=quoted)
    if not body and not ended:
        return frozenset()
    sofar = written + body
    return frozenset(label for label in possible if label.may_follow(sofar, ended=ended))


def _until_end(text: str, *, quoted: bool) -> tuple[str, bool]:
    ends = [at for mark in ('"' if quoted else ",}]\n") if (at := text.find(mark)) >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def _labels(schema: JsonObject, path: Sequence[str]) -> Sequence[Json]:
    """Return the labels of the enum that the schema has at a path."""
    at = _resolved(schema, schema)
    for part in path:
        at = _resolved(_below(at, part), schema)
    listed = at.get("enum")
    return listed if isinstance(listed, list) else ()


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
