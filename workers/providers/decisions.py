"""Typed questions to a decision model: a schema's closed fields asked one by one, and the answers put together again.

The format is that of OpenAI's Decisions API, which litellm's `adecisions` translates for all providers: `predicate`
(the probability of yes), `choice` (one of some labels) and `score` (a level of a scale), each label with its own.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from firstline.config.catalogue.answer_fields import AnswerField, FieldKind, answer_fields
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Structured
from firstline.workers.providers.gateway import Call, Message, Reply
from firstline.workers.rules.json_text import printable

#: Most levels of a score; longer scales are choices.
MOST_LEVELS = 10


@dataclass(frozen=True, slots=True)
class _Question:
    """One field as a question, and the value that each label stands for."""

    field: AnswerField
    kind: str
    values: tuple[Json, ...]
    texts: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(_key(value) for value in self.values)

    def asked(self) -> JsonObject:
        """Return the question as it is sent."""
        told = self.field.schema.get("description")
        instructions = f"`{self.field.name}`: {told}" if told else f"Which value of `{self.field.name}` fits?"
        asked: JsonObject = {"type": self.kind, "name": self.field.name, "instructions": instructions}
        labels = list(zip(self.keys, self.texts, strict=True))
        match self.kind:
            case "choice":
                asked["choices"] = [{"value": key, **_described(text)} for key, text in labels]
            case "score":
                asked["levels"] = [{"label": key, **_described(text)} for key, text in labels]
        return asked

    def read(self, answer: Mapping[str, Any]) -> "tuple[Json, float | None]":
        """Return the value that an answer picks and its probability; None: it gives none. ValueError: it picks none."""
        if answer.get("type") != self.kind:
            raise self._flaw(f"expected an answer of type {self.kind}, got {answer.get('type')!r:.40}")
        if self.kind == "predicate":
            chance = _probability(answer.get("probability"))
            if chance is None:
                raise self._flaw(f"expected a probability, got {answer.get('probability')!r:.40}")
            return chance >= 0.5, max(chance, 1 - chance)
        shares = self._shares(answer.get("probabilities") or ())
        if self.kind == "score":
            return self._level(answer.get("score"), shares)
        key = _key(answer.get("choice"))
        if key not in self.keys:
            raise self._flaw(f"{printable(key)[:80]!r} is none of its labels")
        return self.values[self.keys.index(key)], shares.get(key)

    def _level(self, score: object, shares: Mapping[str, float]) -> "tuple[Json, float | None]":
        """Return the likeliest level; the one nearest to the score where no level has a probability."""
        if shares:
            best = max(shares, key=lambda key: shares[key])
            return self.values[self.keys.index(best)], shares[best]
        if not isinstance(score, int | float) or not 0 <= score <= len(self.values) - 1:
            raise self._flaw(f"{score!r:.40} is no level of its scale")
        return self.values[round(score)], None

    def _shares(self, told: Sequence[Any]) -> dict[str, float]:
        found: dict[str, float] = {}
        for one in told:
            label = one.get("label") if self.kind == "score" else one.get("value")
            chance = _probability(one.get("probability"))
            if chance is not None and _key(label) in self.keys:
                found[_key(label)] = chance
        return found

    def _flaw(self, why: str) -> ValueError:
        return ValueError(f"`{self.field.name}`: {why}")


def request_of(call: Call) -> JsonObject:
    """Return the input and the questions of a call; its schema must be one that `undecidable` has nothing against."""
    return {"input": [_message(one) for one in call.messages], "questions": [one.asked() for one in _open(call)]}


def read_decisions(body: Mapping[str, Any], call: Call) -> Reply:
    """Return the reply in a response: the value of all fields, and the probability that all are as chosen.

    Where the provider left out what is promised the rest counts: without probabilities nobody knows how sure it is.
    """
    questions = _open(call)
    reply = Reply(finish_reason="stop", structured=Structured.DECISIONS.value)
    told = body.get("answers")
    answers = [one for one in told if isinstance(one, dict)] if isinstance(told, list | tuple) else []
    if len(answers) != len(questions):
        detail = f"expected {len(questions)} answers, got {len(answers)}"
        return replace(reply, error=ErrorKind.MALFORMED, detail=detail)
    if any(answer.get("type") == "refusal" for answer in answers):
        return replace(reply, error=ErrorKind.REFUSED, detail="it refused a question")
    try:
        read = [one.read(answer) for one, answer in zip(questions, answers, strict=True)]
    except (ValueError, AttributeError, TypeError) as error:
        return replace(reply, error=ErrorKind.OFF_SCHEMA, detail=str(error)[:300])
    picked = {one.field.path: value for one, (value, _) in zip(questions, read, strict=True)}
    value = _assembled(call.schema or {}, picked)
    known = [chance for _, chance in read if chance is not None]
    certainty = math.prod(known) if len(known) == len(read) else None
    return replace(reply, value=value, text=json.dumps(value, ensure_ascii=False), certainty=certainty)


def billed(body: Mapping[str, Any]) -> JsonObject:
    """Return a response's usage in the words of chat completions."""
    told = body.get("usage")
    usage = told if isinstance(told, dict) else {}
    counts: JsonObject = {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens")}
    return {
        "model": body.get("model"),
        "usage": {**counts, "prompt_tokens_details": usage.get("input_tokens_details")},
    }


def _open(call: Call) -> list[_Question]:
    """Return the questions of all fields that leave a choice."""
    questions = [_question(field) for field in answer_fields(call.schema or {}) if len(field.labels) > 1]
    if not questions:
        raise ValueError("expected a schema with a field that leaves a choice; this one has none")
    return questions


def _question(field: AnswerField) -> _Question:
    labels = field.labels
    kind = "choice"
    if {type(value) for value, _ in labels} == {bool} and len(labels) == 2:
        kind = "predicate"
    elif field.kind is FieldKind.SCALE and len(labels) <= MOST_LEVELS:
        kind = "score"
    return _Question(field, kind, tuple(value for value, _ in labels), tuple(text for _, text in labels))


def _assembled(schema: JsonObject, picked: Mapping[str, Json]) -> Json:
    """Return the answer with the values at their paths, constants among them."""
    whole: JsonObject = {}
    for field in answer_fields(schema):
        value = picked[field.path] if field.path in picked else field.labels[0][0]
        if not field.path:
            return value
        *above, name = field.path.split(".")
        here = whole
        for part in above:
            here = here.setdefault(part, {})  # type: ignore[assignment] # objects on the way down
        here[name] = value
    return whole


def _message(message: Message) -> JsonObject:
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = [str(part.get("text", "")) if isinstance(part, dict) else str(part or "") for part in parts]
    return {"role": "user", "content": "\n".join(texts)}


def _described(text: str) -> JsonObject:
    return {"description": text} if text else {}


def _key(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _probability(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None
