"""What a provider's own body says of a bad answer and litellm leaves out: a refusal, a reason to stop, its usage."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Lane
from firstline.workers.providers.billing import asked_on, booked
from firstline.workers.providers.gateway import Call, Reply

#: Faults that litellm's reading of a refusal, or of an answer that was broken off, may look like.
_DOUBTFUL = (ErrorKind.CONTENT_FILTER, ErrorKind.EMPTY)
#: Bedrock's reasons to stop that litellm takes for a good end.
_BROKEN = ("malformed_model_output", "malformed_tool_use")


def in_own_words(reply: Reply, body: Any, call: Call, *, lane: Lane | None = None) -> Reply:
    """Return a reply as the body of the answer has it; `lane`: it is known (a batch)."""
    if reply.error not in _DOUBTFUL or not isinstance(body, Mapping):
        return reply
    if (refusal := _refusal(body)) is not None:
        words = refusal or reply.text or ""
        reply = replace(reply, error=ErrorKind.REFUSED, text=words or None, detail=f"the model refused: {words:.200}")
    if body.get("stopReason") in _BROKEN:
        broken = f"the provider broke the answer off ({body['stopReason']})"
        reply = replace(reply, error=ErrorKind.SERVER, detail=broken)
    if reply.error is ErrorKind.CONTENT_FILTER and isinstance(usage := body.get("usageMetadata"), Mapping):
        return booked(reply, _gemini_bill(body, usage), call.model, lane=lane, unsaid=asked_on(call))
    return reply


def _refusal(body: Mapping[str, Any]) -> str | None:
    """Return the words of a refusal; empty where it has none, None where it is none."""
    match body:
        case {"stop_reason": "refusal", "stop_details": {"explanation": str() as words}}:
            return words
        case {"stop_reason": "refusal"}:
            return ""
        case {"output": [*items]}:
            return next(_refusals_among(items), None)
        case _:
            return None


def _refusals_among(items: list[Any]) -> Iterator[str]:
    """Yield the refusals in the output of OpenAI's Responses."""
    for item in items:
        match item:
            case {"type": "message", "content": [*parts]}:
                yield from (str(part["refusal"]) for part in parts if _is_refusal(part))


def _is_refusal(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "refusal" and bool(part.get("refusal"))


def _gemini_bill(body: Mapping[str, Any], usage: Mapping[str, Any]) -> JsonObject:
    """Return what Gemini bills for an answer in OpenAI's shape: of one that was held back litellm reads the sums alone.

    Thoughts stand beside the candidates' tokens, unless these and the prompt's make up the total (`UsageMetadata` in
    ai.google.dev/api/generate-content).
    """
    thoughts, got = _count(usage, "thoughtsTokenCount"), _count(usage, "candidatesTokenCount")
    sent = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    return {
        "model": body.get("modelVersion"),
        "service_tier": usage.get("trafficType"),
        "usage": {
            "prompt_tokens": sent,
            "completion_tokens": got if sent + got == _count(usage, "totalTokenCount") else got + thoughts,
            "prompt_tokens_details": {
                "cached_tokens": _count(usage, "cachedContentTokenCount"),
                "cached_tokens_details": {"audio_tokens": _of_modality(usage, "cacheTokensDetails", "AUDIO")},
                "audio_tokens": _of_modality(usage, "promptTokensDetails", "AUDIO"),
            },
            "completion_tokens_details": {"reasoning_tokens": thoughts},
        },
    }


def _of_modality(usage: Mapping[str, Any], name: str, modality: str) -> int:
    listed = usage.get(name)
    parts = [part for part in listed if isinstance(part, Mapping)] if isinstance(listed, list) else []
    return sum(_count(part, "tokenCount") for part in parts if part.get("modality") == modality)


def _count(holder: Mapping[str, Any], name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
