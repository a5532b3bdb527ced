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
    #: Messages at its beginning that are the same for all items.
    static: int = 0
    #: Whether the provider's cache is to keep these; None: it is left alone.
    cached: bool | None = None
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


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """Where an answer stands in a reply's text, as JSON or as plain text: `text[start:end]`."""

    start: int
    end: int
    #: The way from the JSON there to the answer, where that was wrapped.
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the endpoint refused on the way to an answer, for how it was asked; it cost nothing."""

    error: ErrorKind
    detail: str | None = None
    latency_s: float = 0.0
    #: The way to ask for JSON that it does not know.
    mode: str | None = None
    #: The lane that was full.
    lane: Lane | None = None

    @property
    def reason(self) -> str:
        """Why it was refused, for people."""
        if self.lane is not None:
            return f"the lane '{self.lane.value}' is full; asked again at once on the ordinary one"
        return f"the endpoint does not take this way to ask for JSON ({self.mode})"


_UNKNOWN_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: an answer, or an error as data; never raised."""

    text: str | None = None
    #: The parsed value when a schema was asked for and the text is JSON; whether it fits the schema the checks say.
    #: Of a plain answer, the text without the model's thoughts.
    value: Json = None
    #: Where the value stands in the text; None: nowhere as it is (JSON within a text, pieces), or nobody looked.
    span: AnswerSpan | None = None
    #: What had to be mended to read it, in words for people; nothing that loses a letter.
    mends: tuple[str, ...] = ()
    usage: Usage = _UNKNOWN_USAGE
    latency_s: float = 0.0
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    #: Way of asking for JSON that was used; `+repair` where the answer had to be mended.
    structured: str | None = None
    cost_usd: float | None = None
    price_source: str | None = None
    #: As it was served, which its price goes by; None: nobody says.
    lane: Lane | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    #: The message with the tool calls as the provider wants it back: thoughts, signatures and ids whole.
    message: JsonObject | None = None
    error: ErrorKind | None = None
    detail: str | None = None
    #: Seconds that the provider asked to wait.
    retry_after_s: float | None = None
    #: Provider's rate-limit headers, lower-cased.
    limits: dict[str, str] = field(default_factory=dict)
    #: Answered provider calls behind this reply: more than 1 where an endpoint ignored a schema and was asked again.
    calls: int = 1
    #: Requests that were refused on the way to it.
    refusals: tuple[Refusal, ...] = ()
    #: Its slow lane brought no answer: that says nothing of the model.
    is_lanes_fault: bool = False
    #: It timed out for what its item holds: its model answers others meanwhile.
    is_items_fault: bool = False
    #: Probability that a decision model gives its own answer; None: none is given.
    certainty: float | None = None
    #: Items answered together in that call; of its tokens and dollars this reply holds one item's share.
    packed: int = 1

    @property
    def plain(self) -> str | None:
        """A plain answer: the text without thoughts, where somebody looked for them."""
        return self.value if isinstance(self.value, str) else self.text


class PassError(Exception):
    """What a provider said to a request that was passed on, in place of an answer."""

    def __init__(self, reply: Reply, status: int | None) -> None:
        super().__init__(reply.detail or "no answer")
        self.reply = reply
        #: HTTP status; None: nobody was reached.
        self.status = status


class Gateway(Protocol):
    """Whatever can answer a call."""

    async def call(self, call: Call, /) -> Reply:
        """Answer one call; failures are replies with `error` set, only cancellation raises."""
        ...
