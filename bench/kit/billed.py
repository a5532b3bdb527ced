"""A gateway that plays models of known failings, without HTTP, and keeps a ledger of its own.

A model's name says what it is like: `openai/est-80-60-110-5` answers 80% of the items in the form asked for, is of one
mind about 60% of them, bills 110% of the tokens by rule of thumb, and 5% of its calls fail unpaid. The ledger is the
provider's: the dollars of each call that is billed, whatever becomes of the answer.
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from zlib import crc32

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import Json, JsonObject
from firstline.workers.estimates.call_estimate import prompt_tokens, text_tokens
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.mode_memory import ModeMemory
from firstline.workers.rules.pricing import dollars
from firstline.workers.simulator.fabricate import fabricate

_MODEL = re.compile(r"est-(\d+)-(\d+)-(\d+)-(\d+)")
_ITEM = re.compile(r"ref-\d+")
_CODE = re.compile(r'<item n="?([a-z]{4})')
_WORDS = re.compile(r"Why \((\d+)\)")


def model_name(passes: int, agrees: int, ratio: int, faults: int) -> str:
    """Return the name of a model of these shares, all in percent."""
    return f"openai/est-{passes}-{agrees}-{ratio}-{faults}"


@dataclass
class BilledGateway:
    """Answers at once, well or badly, and bills."""

    #: Dollars of all calls so far.
    billed_usd: float = 0.0
    batch_api: None = None
    modes: ModeMemory = field(default_factory=ModeMemory)
    _calls: int = 0

    def never_waits(self, work: object, /) -> bool:
        """Say that nothing is prepared on threads."""
        return False

    async def call(self, call: Call, /) -> Reply:
        """Answer one call."""
        found = _MODEL.search(call.model.name)
        assert found is not None, call.model.name
        passes, agrees, ratio, faults = (int(part) / 100 for part in found.groups())
        self._calls += 1
        dice = random.Random(f"{call.model.name}:{self._calls}")
        if dice.random() < faults:
            return Reply(error=ErrorKind.SERVER, detail="HTTP 500", cost_usd=0.0, price_source="refused")
        value = _value(call, agrees, dice)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        usage = Usage(
            input_tokens=round(prompt_tokens(call) * ratio),
            cached_tokens=0,
            output_tokens=max(1, round(text_tokens(text) * ratio)),
        )
        cost = dollars(usage, call.model.price) if call.model.price else 0.0
        self.billed_usd += cost or 0.0
        said = Reply(text=text, usage=usage, finish_reason="stop", cost_usd=cost, price_source="profile")
        if dice.random() > passes:
            return replace(said, text="no", error=ErrorKind.MALFORMED, detail="no JSON")
        return replace(said, value=value, structured="json_schema" if call.schema else None)


def _value(call: Call, agrees: float, dice: random.Random) -> Json:
    prompt = " ".join(str(message.get("content")) for message in call.messages)
    if call.schema_name.endswith("_pack") and call.schema is not None:
        codes = dict.fromkeys(_CODE.findall(str(call.messages[-1].get("content"))))
        inner = _inner(call.schema)
        return {"results": [{"n": code, "answer": _made(inner, dice)} for code in codes]}
    item = _ITEM.findall(prompt)
    if item and crc32(f"{call.model.name}{item[-1]}".encode()) / 2**32 < agrees:
        dice = random.Random(f"{item[-1]}{call.schema_name}")
    if call.schema is None:
        return _text(prompt, dice)
    if "decision" in call.schema.get("properties", {}):  # type: ignore[operator]
        restarts = dice.random() < 0.3
        return {"decision": "restart" if restarts else "proceed", "reason": "Seen.", "feedback": "Look again."}
    return _made(call.schema, dice)


def _inner(schema: JsonObject) -> JsonObject:
    part: Json = schema
    for name in ("properties", "results", "items", "properties", "answer"):
        part = part[name] if isinstance(part, dict) else {}
    return part if isinstance(part, dict) else {}


def _made(schema: JsonObject, dice: random.Random) -> Json:
    """Return a value of the schema; a text has about as many words as its title says."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return _text(str(schema["title"]), dice) if "title" in schema else fabricate(schema, dice)
    return {name: _made(part, dice) for name, part in properties.items() if isinstance(part, dict)}


def _text(asked: str, dice: random.Random) -> str:
    found = _WORDS.search(asked)
    mean = int(found[1]) if found else 4
    return " ".join("because" for _ in range(max(1, round(mean * dice.lognormvariate(-0.08, 0.4)))))
