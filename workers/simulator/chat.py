"""A chat completion request, read as the simulator needs it."""

from dataclasses import dataclass, replace

from firstline.config.providers.prices import lane_named
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Lane
from firstline.workers.providers.recording import messages_key
from firstline.workers.providers.structured_output import without_instruction
from firstline.workers.simulator.script import Capability, Rule
from firstline.workers.simulator.tokens import count_prompt, message_text


@dataclass(frozen=True, slots=True)
class Chat:
    """One request."""

    model: str
    #: Hash of the messages, without the ladder's instruction to answer in JSON.
    key: str
    prompt: str
    #: What the user said, the newest first.
    users: tuple[str, ...]
    prompt_tokens: int
    #: The schema of the answer, from the response format, the forced tool or the instruction in the prompt.
    schema: JsonObject | None = None
    #: The schema that the prompt itself asks for.
    instructed: JsonObject | None = None
    wants: Capability | None = None
    tool_name: str | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    max_tokens: int | None = None
    #: What stands before its last mark for the cache, and whether nothing else is to be kept.
    marked: str | None = None
    only_marked: bool = False
    #: The lane that it asks for; None: it names none.
    lane: Lane | None = None
    #: The tools may be called, and so many rounds of calls are in the conversation already.
    may_call: bool = False
    rounds: int = 0

    @property
    def last_user(self) -> str:
        """The last thing that the user said."""
        return self.users[0] if self.users else ""


def read_chat(body: JsonObject) -> Chat | str:
    """Read a request body; return what is wrong with it where it is none."""
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        return "you must provide a model parameter"
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        return "'messages' must be a non-empty array of objects"
    own, instructed = without_instruction([_plain(message) for message in messages if isinstance(message, dict)])
    wants, asked, tool_name = _structured(body)
    texts = [message_text(message) for message in messages if isinstance(message, dict)]
    return Chat(
        model=model,
        key=messages_key(own),
        prompt="\n".join(texts),
        users=tuple(message_text(message) for message in reversed(own) if message.get("role") == "user"),
        prompt_tokens=count_prompt(texts),
        schema=asked or instructed,
        instructed=instructed,
        wants=wants,
        tool_name=tool_name,
        logprobs=body.get("logprobs") is True,
        top_logprobs=_int(body.get("top_logprobs")) or 0,
        max_tokens=_int(body.get("max_completion_tokens")) or _int(body.get("max_tokens")),
        marked=_marked([message for message in messages if isinstance(message, dict)]),
        only_marked=body.get("prompt_cache_options") == {"mode": "explicit"},
        lane=lane_named(body.get("service_tier")),
        may_call=bool(body.get("tools")) and body.get("tool_choice", "auto") in ("auto", "required"),
        rounds=sum(bool(message.get("tool_calls")) for message in own),
    )


def without_unsupported(chat: Chat, rule: Rule) -> Chat | str:
    """Apply what the model supports: return the request as the model takes it, or why it is refused."""
    if chat.wants is None or chat.wants in rule.supports:
        return chat
    if rule.unsupported == "refuse":
        return f"this model does not support {_REFUSED[chat.wants]}"
    return replace(chat, schema=chat.instructed, wants=None, tool_name=None)


_REFUSED = {
    Capability.JSON_SCHEMA: "response_format of type json_schema",
    Capability.TOOLS: "tools",
    Capability.JSON_OBJECT: "response_format of type json_object",
}


def _plain(message: JsonObject) -> JsonObject:
    """Return a message whose content is one text, where it is nothing but texts; marks are not in it."""
    content = message.get("content")
    is_text = isinstance(content, list) and all(isinstance(part, dict) and "text" in part for part in content)
    return {**message, "content": message_text(message)} if is_text else message


def _marked(messages: list[JsonObject]) -> str | None:
    """Return the prompt up to its last mark, to the end of the message that bears it; None: there is none."""
    last = max((place for place, message in enumerate(messages) if _bears_mark(message)), default=None)
    return None if last is None else "\n".join(map(message_text, messages[: last + 1]))


def _bears_mark(message: JsonObject) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, dict) and bool(_MARKS & part.keys()) for part in parts)


_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})


def _structured(body: JsonObject) -> tuple[Capability | None, JsonObject | None, str | None]:
    match body:
        case {"response_format": {"type": "json_schema", "json_schema": {"schema": dict() as schema}}}:
            return Capability.JSON_SCHEMA, schema, None
        case {"response_format": {"type": "json_object"}}:
            return Capability.JSON_OBJECT, None, None
        case {"tools": [_, *_] as tools, "tool_choice": {"function": {"name": str() as name}}}:
            return Capability.TOOLS, _parameters(tools, name), name
        case {"tools": [_, *_]}:
            return Capability.TOOLS, None, None
        case _:
            return None, None, None


def _parameters(tools: list[Json], name: str) -> JsonObject | None:
    for tool in tools:
        match tool:
            case {"function": {"name": called, "parameters": dict() as schema}} if called == name:
                return schema
    return None


def _int(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
