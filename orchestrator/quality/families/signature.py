"""What a request is grouped by: its prompt, the form of its answer, how it samples, and what nobody can compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstline.orchestrator.quality.families.prompts import masked
from firstline.schemas.base import Json, JsonObject, digest

#: Parameters that shape an answer: requests that differ in them are of different families.
SHAPING = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "verbosity",
)
#: Parameters that say nothing of the answer.
SILENT = frozenset(
    {"model", "messages", "response_format", "stream", "stream_options", "user", "metadata", "safety_identifier"}
    | {"prompt_cache_key", "prompt_cache_retention", "service_tier", "store"}
)
_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"})
_ROLES = frozenset({"system", "developer", "user", "assistant"})


@dataclass(frozen=True)
class Signature:
    """What a request has in common with its family."""

    tenant: str
    #: The top model, and the profile that it stands in.
    model: str
    profile: str
    #: The system prompt, gaps for what varies.
    prompt: str
    response_format: JsonObject | None
    params: JsonObject
    #: Why no answer of its kind can be certified, whatever it says; None: it may be.
    straight: str | None

    @property
    def shape(self) -> str:
        """A digest of everything but the prompt."""
        what = [self.tenant, self.model, self.profile, self.response_format, self.params, self.straight]
        return digest(what)

    def of_family(self, prompt: str) -> dict[str, Any]:
        """Return what a family of this shape with some prompt is known by."""
        return {
            "id": digest([prompt, self.shape], length=12),
            "tenant": self.tenant,
            "prompt": prompt,
            "shape": self.shape,
            "model": self.model,
            "profile": self.profile,
            "response_format": self.response_format,
            "params": self.params,
            "straight": self.straight,
        }


def signature_of(request: Mapping[str, Json], *, tenant: str, model: str, profile: str) -> Signature:
    """Return what a chat request is grouped by; it has passed the door."""
    messages = [one for one in request.get("messages") or [] if isinstance(one, dict)]  # type: ignore[union-attr]
    form = request.get("response_format")
    asked = {name: value for name, value in request.items() if value is not None}
    return Signature(
        tenant=tenant,
        model=model,
        profile=profile,
        prompt=masked(_system(messages)),
        response_format=form if isinstance(form, dict) and form.get("type") != "text" else None,
        params={name: asked[name] for name in SHAPING if name in asked},
        straight=_why_straight(asked, messages),
    )


def _system(messages: list[JsonObject]) -> str:
    told = [_text(one.get("content")) for one in messages if one.get("role") in ("system", "developer")]
    return "\n".join(told)


def _text(content: Json) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _why_straight(asked: Mapping[str, Json], messages: list[JsonObject]) -> str | None:
    if _TOOLS & asked.keys() or any(one.get("role") not in _ROLES or one.get("tool_calls") for one in messages):
        return "its requests offer tools, and nobody compares tool calls"
    if any(part.get("type") != "text" for one in messages for part in _parts(one)):
        return "its messages hold more than text"
    others = sorted(asked.keys() - SILENT - set(SHAPING) - ({"n"} if asked.get("n") == 1 else set()))
    if asked.get("logprobs") is False:
        others = [name for name in others if name != "logprobs"]
    if others:
        return f"its requests ask for {', '.join(others)}, which only the top model's own answer has"
    return None


def _parts(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
