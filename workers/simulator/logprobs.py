"""Log-probabilities with alternatives, surer for right answers than for wrong ones."""

import math
from random import Random

from firstline.schemas.attempt import TokenLogprob
from firstline.schemas.base import Json, JsonObject
from firstline.workers.simulator.script import Confidence
from firstline.workers.simulator.tokens import pieces

#: Punctuation and the names of properties follow from the schema: a model is sure of them.
_SURE = math.log(0.9999)
_OTHERS = (" the", " a", " other", " not", " unknown", " is", " and", " none", " one", " 1", " 0", "\n")


def draw(
    text: str, schema: JsonObject | None, confidence: Confidence, random: Random, *, right: bool
) -> list[TokenLogprob]:
    """Return the tokens of an answer; each token of a value has about the probability drawn for the answer."""
    mean = confidence.right if right else confidence.wrong
    level = random.betavariate(mean * confidence.concentration, (1 - mean) * confidence.concentration)
    names = _property_names(schema)
    return [_token(piece, _probability(piece, names, level), random, _labels(schema)) for piece in pieces(text)]


def render(tokens: list[TokenLogprob], alternatives: int) -> JsonObject:
    """Return the `logprobs` object of a choice."""
    content: list[Json] = [
        {**_entry(token.token, token.logprob), "top_logprobs": [_entry(*other) for other in token.top[:alternatives]]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _entry(token: str, logprob: float | None) -> JsonObject:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _probability(piece: str, names: set[str], level: float) -> float | None:
    bare = piece.strip()
    return level if bare and any(char.isalnum() for char in bare) and bare not in names else None


def _token(piece: str, probability: float | None, random: Random, labels: list[str]) -> TokenLogprob:
    if probability is None:
        return TokenLogprob(token=piece, logprob=_SURE, top=((piece, _SURE),))
    probability = min(max(probability, 1e-4), 1 - 1e-6)
    others = [label for label in labels if label != piece.strip()] or [other for other in _OTHERS if other != piece]
    chosen = random.sample(others, min(4, len(others)))
    shares = [0.5**place for place in range(1, len(chosen) + 1)]
    rest = [(other, math.log((1 - probability) * share)) for other, share in zip(chosen, shares, strict=True)]
    own = (piece, math.log(probability))
    return TokenLogprob(token=piece, logprob=own[1], top=tuple(sorted((own, *rest), key=lambda pair: -pair[1])))


def _property_names(schema: JsonObject | None) -> set[str]:
    properties = schema.get("properties") if schema else None
    return {piece.strip() for name in properties for piece in pieces(name)} if isinstance(properties, dict) else set()


def _labels(schema: JsonObject | None) -> list[str]:
    """Return the first pieces of the labels of the schema's first enum: what the model could have said instead."""
    properties = schema.get("properties") if schema else None
    fields = properties.values() if isinstance(properties, dict) else ()
    enums = [enum for field in fields if isinstance(field, dict) and isinstance(enum := field.get("enum"), list)]
    return [pieces(str(label))[0] for label in (enums[0] if enums else []) if label != ""]
