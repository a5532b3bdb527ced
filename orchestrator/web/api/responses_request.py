"""Requests in the shape of OpenAI's Responses API, in its plain form: a conversation that is sent whole each time."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstline.orchestrator.web.api.chat_request import BoundedRequest, ChatRequest
from firstline.schemas.errors import UserError

#: Kinds of parts of a message, and what they are called in a chat.
_TEXTS = frozenset({"input_text", "output_text", "text"})
#: Parameters that mean the same in a chat.
_SAME = (
    "model",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)


class ResponsesText(BaseModel):
    """The form of the answer."""

    model_config = ConfigDict(extra="forbid")

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponsesReasoning(BaseModel):
    """How much is thought."""

    model_config = ConfigDict(extra="forbid")

    effort: str | None = None
    summary: None = None


class ResponsesRequest(BoundedRequest):
    """A request as the client's `responses.create` sends it; what is not done here is refused by its name."""

    model: str = Field(max_length=200, description="`firstline/auto`, a top model's own name, or `firstline/WORKFLOW`.")
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning: ResponsesReasoning | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    #: Nothing is kept between two requests, whatever is asked.
    store: Literal[False] | None = None
    stream: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    text: ResponsesText | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: Literal["disabled"] | None = None
    user: str | None = None

    def chat(self) -> ChatRequest:
        """Return the same request as a chat; UserError names what cannot be said in one."""
        said = {name: value for name in _SAME if (value := getattr(self, name)) is not None}
        said["messages"] = [*self._instructions(), *self._turns()]
        if self.max_output_tokens is not None:
            said["max_completion_tokens"] = self.max_output_tokens
        if self.reasoning is not None and self.reasoning.effort is not None:
            said["reasoning_effort"] = self.reasoning.effort
        if self.text is not None and self.text.format is not None:
            said["response_format"] = _form(self.text.format)
        if self.text is not None and self.text.verbosity is not None:
            said["verbosity"] = self.text.verbosity
        if self.tools:
            said["tools"] = [_tool(tool) for tool in self.tools]
        if self.tool_choice is not None:
            said["tool_choice"] = _choice(self.tool_choice)
        if self.stream:
            # A response ends with its usage.
            said["stream_options"] = {"include_usage": True}
        try:
            return ChatRequest.model_validate(said)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])).replace("messages", "input", 1)
            raise UserError(f"{where}: {first['msg']}") from None

    def _instructions(self) -> list[dict[str, Any]]:
        return [{"role": "system", "content": self.instructions}] if self.instructions else []

    def _turns(self) -> list[dict[str, Any]]:
        if isinstance(self.input, str):
            return [{"role": "user", "content": self.input}]
        turns: list[dict[str, Any]] = []
        for number, item in enumerate(self.input):
            turn = _turn(item, f"input[{number}]")
            before = turns[-1] if turns else {}
            if turn.get("tool_calls") and before.get("role") == "assistant":
                # What was wished for in one turn is one message of a chat.
                before["tool_calls"] = [*before.get("tool_calls", []), *turn["tool_calls"]]
            else:
                turns.append(turn)
        return turns


def _turn(item: dict[str, Any], where: str) -> dict[str, Any]:
    """Return an item of the input as a message of a chat."""
    match item:
        case {"type": "function_call", "call_id": str(call), "name": str(name), "arguments": str(arguments)}:
            wished = {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}
            return {"role": "assistant", "content": None, "tool_calls": [wished]}
        case {"type": "function_call_output", "call_id": str(call), "output": output}:
            told = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
            return {"role": "tool", "tool_call_id": call, "content": told}
        case {"role": str(role), "content": str(content)}:
            return {"role": role, "content": content}
        case {"role": str(role), "content": list(parts)}:
            found = [_part(part, f"{where}.content[{number}]") for number, part in enumerate(parts)]
            if all(part["type"] == "text" for part in found):
                return {"role": role, "content": "".join(part["text"] for part in found)}
            return {"role": role, "content": found}
    kind = item.get("type", "no type")
    raise UserError(f"{where}: expected a message, a function_call or a function_call_output, got {kind!r:.60}")


def _part(part: Any, where: str) -> dict[str, Any]:
    match part:
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url)}:
            detail = {"detail": part["detail"]} if isinstance(part.get("detail"), str) else {}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
    got = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise UserError(f"{where}: expected input_text, output_text or input_image with an image_url, got {got!r:.60}")


def _form(form: dict[str, Any]) -> dict[str, Any]:
    if form.get("type") != "json_schema":
        return form
    return {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise UserError(
            f"tools: expected tools of type function, got {tool.get('type')!r:.60}; the rest is not done here"
        )
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice
