"""The seam between Firstline and model providers: one method."""

from dataclasses import dataclass, field
from typing import Protocol

from firstline.schemas.attempt import ErrorKind, TokenLogprob, Usage
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Lane, Model

Message = JsonObject


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one model."""

    model: Model
    messages: tuple[Message, ...]
    #: JSON Schema of the answer; None asks for plain text.
    schema: JsonObject | None = None
    schema_name: str = "answer"
    timeout_s: float = 60.0
    #: Merged over the model's own `params`: `temperature`, `max_tokens`, `reasoning_effort`, ...
    params: JsonObject = field(default_factory=dict)
    #: Ask for the log-probabilities of the answer's tokens with this many alternatives (0: none, None: do not ask).
    top_logprobs: int | None = None
    #: Tool definitions offered to the model (OpenAI's `function` shape).
    tools: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool."""

    id: str
    name: str
    arguments: JsonObject
    #: The arguments as the model wrote them, which may be no JSON; `arguments` is empty then.
    raw: str = ""


_UNKNOWN_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: an answer, or an error as data; never raised."""

    text: str | None = None
    #: The parsed value when a schema was asked for and the text is JSON; whether it fits the schema the checks say.
    value: Json = None
    usage: Usage = _UNKNOWN_USAGE
    latency_s: float = 0.0
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    #: Rung of the structured-output ladder that was used; `+repair` where the JSON had to be mended.
    structured: str | None = None
    cost_usd: float | None = None
    price_source: str | None = None
    #: As it was served, which its price goes by; None: nobody says.
    lane: Lane | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    error: ErrorKind | None = None
    detail: str | None = None
    #: Seconds that the provider asked to wait.
    retry_after_s: float | None = None
    #: Provider's rate-limit headers, lower-cased.
    limits: dict[str, str] = field(default_factory=dict)
    #: Answered provider calls behind this reply: more than 1 where an endpoint ignored a schema and was asked again.
    calls: int = 1
    #: Items answered together in that call; of its tokens and dollars this reply holds one item's share.
    packed: int = 1


class Gateway(Protocol):
    """Whatever can answer a call."""

    async def call(self, call: Call, /) -> Reply:
        """Answer one call; failures are replies with `error` set, only cancellation raises."""
        ...
