"""OpenAI's Decisions API: typed questions read as a chat that asks for JSON, its answer as picks with probabilities."""

import json
import math
from collections.abc import Iterator
from typing import Any

from firstline.schemas.base import Json, JsonObject
from firstline.workers.rules.json_paths import MISSING, dig
from firstline.workers.simulator.engine import Outcome
from firstline.workers.simulator.formats import Format
from firstline.workers.simulator.script import FaultKind
from firstline.workers.simulator.tokens import message_text

#: What a model picks whose answer fits no label.
_STRANGER = "none of these"


def _read(body: JsonObject, _: str) -> JsonObject:
    told = body.get("input")
    given: list[Any] = told if isinstance(told, list) else [{"role": "user", "content": told or ""}]
    messages: list[Json] = [
        {"role": "user", "content": message_text(message)} for message in given if isinstance(message, dict)
    ]
    # Besides what is judged, the questions are read, and paid for.
    messages.insert(0, {"role": "system", "content": json.dumps(body.get("questions"), ensure_ascii=False)})
    fields: JsonObject = {_name(one, at): _field(one) for at, one in enumerate(_questions(body))}
    schema: JsonObject = {"type": "object", "properties": fields, "required": list(fields)}
    form: Json = {"type": "json_schema", "json_schema": {"name": "decisions", "schema": schema}}
    return {"model": body.get("model"), "messages": messages, "response_format": form, "logprobs": True}


def _write(outcome: Outcome, body: JsonObject) -> JsonObject:
    if outcome.status != 200:
        return outcome.body
    said: Any = outcome.body
    choice, usage = said["choices"][0], said.get("usage") or {}
    answers: list[Json] = []
    if choice["message"].get("refusal"):
        answers = [{"type": "refusal", "name": one.get("name")} for one in _questions(body)]
    else:
        picked, hidden = _loads(choice["message"].get("content")), outcome.fault is FaultKind.NO_PROBABILITIES
        chance = None if hidden else _chance(choice.get("logprobs"))
        answers = [_answer(one, _pick(picked, one, at), chance) for at, one in enumerate(_questions(body))]
    counts: JsonObject = {
        "input_tokens": usage.get("prompt_tokens", 0),
        "output_tokens": usage.get("completion_tokens", 0),
        "total_tokens": usage.get("total_tokens", 0),
    }
    return {"model": outcome.model, "answers": answers, "usage": counts}


def _answer(question: JsonObject, picked: Json, chance: float | None) -> JsonObject:
    """Return a pick as the question's type answers it; the others share what probability is left."""
    name, labels = question.get("name"), _labels(question)
    if question.get("type") == "predicate":
        sure = 0.75 if chance is None else chance
        return {"type": "predicate", "name": name, "probability": sure if picked is True else 1 - sure}
    label = picked if isinstance(picked, str) else json.dumps(picked)
    rest = 0.0 if chance is None or len(labels) < 2 else (1 - chance) / (len(labels) - 1)
    shares = [] if chance is None else [(at, one, chance if one == label else rest) for at, one in enumerate(labels)]
    if question.get("type") == "score":
        return {
            "type": "score",
            "name": name,
            "score": float(labels.index(label)) if label in labels else float(len(labels)),
            "probabilities": [{"value": at, "label": one, "probability": share} for at, one, share in shares],
            "confidence": chance,
        }
    return {
        "type": "choice",
        "name": name,
        "choice": label if label in labels else _STRANGER,
        "probabilities": [{"value": one, "probability": share} for _, one, share in shares],
        "confidence": chance,
    }


def _questions(body: JsonObject) -> list[JsonObject]:
    told = body.get("questions")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _labels(question: JsonObject) -> list[str]:
    told = question.get("choices") or question.get("levels")
    listed = told if isinstance(told, list) else []
    return [str(one.get("value", one.get("label"))) for one in listed if isinstance(one, dict)]


def _field(question: JsonObject) -> JsonObject:
    return {"type": "boolean"} if question.get("type") == "predicate" else {"enum": list(_labels(question))}


def _name(question: JsonObject, at: int) -> str:
    return str(question.get("name") or at)


def _pick(picked: Json, question: JsonObject, at: int) -> Json:
    """Return what an answer says to one question: by its name, at its dotted path, or as a whole."""
    name = _name(question, at)
    if not isinstance(picked, dict):
        return picked
    if name in picked:
        return picked[name]
    found = dig(picked, name)
    return found if found is not MISSING else next(iter(picked.values()), None)


def _loads(text: Any) -> Json:
    try:
        found: Json = json.loads(text)
    except (TypeError, ValueError):
        return None
    return found


def _chance(logprobs: Any) -> float:
    """Return the probability of the least likely token: that of the value."""
    return math.exp(min(_logprobs(logprobs), default=0.0))


def _logprobs(told: Any) -> Iterator[float]:
    for token in (told or {}).get("content") or ():
        if any(char.isalnum() for char in token["token"]):
            yield token["logprob"]


DECISIONS = Format(_read, _write)
