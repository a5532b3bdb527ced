"""What a request to the OpenAI-compatible endpoint may hold; what nobody knows is refused by name, never ignored."""

from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_bounds import refusal

#: The prefix of what the catalogue answers, and the name of the deployment's own ladder.
PREFIX = "firstline/"
AUTO = "firstline/auto"
#: What a skill may be asked with: it has its own prompt, form of answer and sampling.
_OF_SKILLS = frozenset({"model", "messages", "stream", "stream_options", "user", "metadata"})


class Message(BaseModel):
    """One message of a chat, handed on as it came."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if self.content is None and self.role not in ("assistant", "function"):
            raise ValueError(f"a message of role '{self.role}' needs `content`: a text or a list of parts")
        return self

    @property
    def text(self) -> str:
        """Its text; UserError where it holds anything else."""
        if isinstance(self.content, list):
            if any(part.get("type") != "text" or not isinstance(part.get("text"), str) for part in self.content):
                raise UserError("messages: a skill or workflow is asked with text, and a part of the message is none")
            return "\n".join(part["text"] for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """What a stream is to hold besides the answer."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = None


class ResponseFormat(BaseModel):
    """The form that an answer is asked for in, handed on as it came."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]


def _parts(data: dict[str, Any]) -> Iterator[Any]:
    """Yield what is looked at by itself: each message, so that no other thread waits for all of them."""
    for name, value in data.items():
        yield name
        yield from value if isinstance(value, list) else (value,)


class BoundedRequest(BaseModel):
    """A body within the bounds of all JSON from outside; a parameter that is not known is refused by its name."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _within_bounds(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for part in _parts(data):
                if (why := refusal(part)[0]) is not None:
                    raise ValueError(f"the request {why}")
        return data


class ChatRequest(BoundedRequest):
    """A request as clients of the OpenAI API send it."""

    model: str = Field(max_length=200, description="`firstline/auto`, a top model's own name, or `firstline/WORKFLOW`.")
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    n: int | None = Field(default=None, ge=1, le=128)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)

    # Handed on as they came: what is wrong with their values says the provider.
    audio: dict[str, Any] | None = None
    frequency_penalty: float | None = None
    function_call: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    metadata: dict[str, Any] | None = None
    modalities: list[str] | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None

    @property
    def streams_usage(self) -> bool:
        """Whether the stream is to end with its usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def plain(self) -> JsonObject:
        """The request as it came, without what it leaves out."""
        return {name: value for name, value in self.model_dump(exclude_unset=True).items() if value is not None}

    def only_text(self) -> str:
        """Return the one user message that a skill is asked with; UserError names what it would have to ignore."""
        ignored = sorted(self.plain.keys() - _OF_SKILLS - ({"n"} if self.n == 1 else set()))
        if ignored:
            raise UserError(
                f"{ignored[0]}: '{self.model}' has its own prompt, form of answer and sampling, so that this would be "
                f"ignored; leave it out, or ask {AUTO}"
            )
        if len(self.messages) != 1 or self.messages[0].role != "user":
            raise UserError(
                f"messages: '{self.model}' is asked with one user message, and other turns would be ignored; got "
                f"{', '.join(message.role for message in self.messages[:8])}; ask {AUTO} with a conversation"
            )
        text = self.messages[0].text
        if not text.strip():
            raise UserError("messages: expected a user message with text in it")
        return text
