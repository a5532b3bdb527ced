"""Chat completions as Mistral, DeepSeek and Azure OpenAI write them, each with words of its own."""

import json
from typing import Any

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from tests.integration.workers.providers.canned import Response
from tests.integration.workers.providers.wire_formats.form import Asked, Fault, Finish, Said, WireFormat

_MODES = {"json_schema": Structured.JSON_SCHEMA, "json_object": Structured.JSON_OBJECT}


def openai_error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return an error in OpenAI's shape."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code, **more}
    return Response({"error": error}, status, headers or {})


class Chat(WireFormat):
    """OpenAI's chat completions."""

    own_type = ("openai.types.chat", "ChatCompletion")
    finishes = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.FILTERED: "content_filter", Finish.REFUSED: "stop"}

    def read(self, body: Any) -> Asked:
        seals: dict[str, str] = {}
        results: dict[str, str] = {}
        for message in body["messages"]:
            seals |= {one["id"]: self.seal_of(message) for one in message.get("tool_calls") or ()}
            if message["role"] == "tool":
                results[message["tool_call_id"]] = str(message["content"])
        form, choice = body.get("response_format") or {}, body.get("tool_choice")
        forced = choice["function"]["name"] if isinstance(choice, dict) else None
        mode = Structured.TOOL_CALL if forced else _MODES.get(form.get("type"), Structured.PROMPT)
        offered = tuple(tool["function"]["name"] for tool in body.get("tools") or ())
        return Asked(mode, (form.get("json_schema") or {}).get("schema"), offered, forced, results, seals)

    def write(self, said: Said) -> JsonObject:
        calls = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": json.dumps(one.arguments)}}
            for one in said.wishes
        ]
        message: dict[str, Any] = {"role": "assistant", "content": said.text, **self.thinking(said)}
        if calls:
            message["tool_calls"] = calls
        finish = "tool_calls" if calls else self.finishes[said.finish]
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1790000000,
            "model": self.answering,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1500, "completion_tokens": 90, "total_tokens": 1590, **self.details},
        }

    #: Name of the model in its answers, and what its usage has beside the sums.
    answering: str
    details: JsonObject

    def thinking(self, said: Said) -> JsonObject:
        """Return the fields of a message that hold its thoughts."""
        return {}

    def seal_of(self, message: Any) -> str:
        """Return the proof of thoughts in a message that comes back."""
        return ""


class Mistral(Chat):
    """Mistral's own platform (docs.mistral.ai/api)."""

    model = "mistral/magistral-medium-latest"
    answering = "magistral-medium-latest"
    base = "/v1"
    path = "/v1/chat/completions"
    own_type = ("mistralai.client.models", "ChatCompletionResponse")
    modes = (Structured.JSON_SCHEMA, Structured.TOOL_CALL, Structured.JSON_OBJECT)
    usage = Usage(input_tokens=1500, cached_tokens=1000, output_tokens=90)
    details: JsonObject = {"prompt_tokens_details": {"cached_tokens": 1000}}
    unknown_mode = Response(
        {
            "object": "error",
            "message": "Structured output (response_format json_schema) is not supported for this model",
            "type": "invalid_request_error",
            "param": None,
            "code": "3051",
        },
        400,
    )
    ids = ("Qk3zR7pLm", "D681PevKs")
    throttled = {
        "a limit used up": Fault(
            Response(
                {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
                429,
                {"ratelimit-remaining": "0", "ratelimit-reset": "24"},
            ),
            ErrorKind.RATE,
            wait_s=24,
            words="Rate limit exceeded",
        ),
        "capacity": Fault(
            Response(
                {
                    "object": "error",
                    "message": "Service tier capacity exceeded for this model.",
                    "type": "service_tier_capacity_exceeded",
                    "code": "3505",
                },
                429,
            ),
            ErrorKind.RATE,
        ),
    }
    faults = {
        "overflow": Fault(
            Response(
                {
                    "object": "error",
                    "message": "Prompt contains 45000 tokens and 0 draft tokens, too large for model with 40960 "
                    "maximum context length",
                    "type": "invalid_request_prompt",
                    "code": "3051",
                },
                400,
            ),
            ErrorKind.CONTEXT_LENGTH,
            words="45000",
        ),
        "filtered before an answer": Fault(
            Response({"object": "error", "message": "Content violates our usage policies", "type": "guardrail"}, 403),
            ErrorKind.CONTENT_FILTER,
        ),
    }
    lacks = {
        "filtered": "its finish reasons are stop, length, model_length, error and tool_calls",
        "refused": "a refusal is a text like any other",
        "hidden thoughts": "its thoughts are open, and need no proof",
    }

    def thinking(self, said: Said) -> JsonObject:
        if not said.thoughts:
            return {}
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": said.thoughts}]}
        return {"content": [thought, *([{"type": "text", "text": said.text}] if said.text else [])]}


class DeepSeek(Chat):
    """DeepSeek's own platform (api-docs.deepseek.com); its models think unless told not to."""

    model = "deepseek/deepseek-v4-flash"
    answering = "deepseek-v4-flash"
    base = "/v1"
    path = "/v1/chat/completions"
    modes = (Structured.JSON_OBJECT, Structured.PROMPT)
    usage = Usage(input_tokens=1500, cached_tokens=1000, output_tokens=90, reasoning_tokens=60)
    details: JsonObject = {
        "prompt_cache_hit_tokens": 1000,
        "prompt_cache_miss_tokens": 500,
        "completion_tokens_details": {"reasoning_tokens": 60},
    }
    unknown_mode = openai_error(400, "This response_format type is unavailable now", code="invalid_request_error")
    unsealed = openai_error(
        400,
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        code="invalid_request_error",
    )
    ids = ("call_00_p1Xq", "call_00_Zr7b")
    throttled = {
        "its words": Fault(
            openai_error(429, "Rate limit reached. Please pace your requests.", code="rate_limit_reached"),
            ErrorKind.RATE,
        ),
        "overloaded": Fault(
            openai_error(503, "Service is too busy. We advise users to temporarily switch to another provider."),
            ErrorKind.SERVER,
        ),
    }
    faults = {
        "overflow": Fault(
            openai_error(
                400,
                "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens.",
                code="invalid_request_error",
            ),
            ErrorKind.CONTEXT_LENGTH,
            words="140000",
        ),
        "filtered before an answer": Fault(
            openai_error(400, "Content Exists Risk", code="invalid_request_error"), ErrorKind.CONTENT_FILTER
        ),
    }
    lacks = {
        "refused": "a refusal is a text like any other",
        "hidden thoughts": "its thoughts are open, and come back as they are",
    }

    def refuses(self, mode: Structured) -> Response:
        if mode is Structured.TOOL_CALL:
            return openai_error(400, "Thinking mode does not support this tool_choice", code="invalid_request_error")
        return self.unknown_mode

    def thinking(self, said: Said) -> JsonObject:
        return {"reasoning_content": said.thoughts} if said.thoughts else {}

    def seal_of(self, message: Any) -> str:
        return str(message.get("reasoning_content") or "")

    def seal(self, thoughts: str | None, proof: str) -> str:
        return thoughts or ""


class Azure(Chat):
    """Azure OpenAI (learn.microsoft.com/azure/ai-services/openai/reference)."""

    model = "azure/my-deployment"
    answering = "gpt-4.1-2025-04-14"
    params: JsonObject = {"api_version": "2025-04-01-preview"}
    base = ""
    path = "/openai/deployments/my-deployment/chat/completions?api-version=2025-04-01-preview"
    modes = (Structured.JSON_SCHEMA, Structured.TOOL_CALL, Structured.JSON_OBJECT)
    usage = Usage(input_tokens=1500, cached_tokens=1000, output_tokens=90, reasoning_tokens=60)
    details: JsonObject = {
        "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 60, "audio_tokens": 0},
    }
    unknown_mode = openai_error(
        400,
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        param="response_format",
    )
    ids = ("call_8kZpq3", "call_Ui2Wq9")
    throttled = {
        "in its words": Fault(
            Response(
                {
                    "error": {
                        "code": "429",
                        "message": "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version "
                        "2025-04-01-preview have exceeded token rate limit of your current pricing tier. Please retry "
                        "after 6 seconds.",
                    }
                },
                429,
            ),
            ErrorKind.RATE,
            wait_s=6,
        ),
        "milliseconds": Fault(
            Response(
                {"error": {"code": "429", "message": "Rate limit is exceeded. Try again later."}},
                429,
                {"retry-after-ms": "1250", "x-ratelimit-reset-tokens": "99"},
            ),
            ErrorKind.RATE,
            wait_s=1.25,
        ),
    }
    faults = {
        "overflow": Fault(
            openai_error(
                400,
                "This model's maximum context length is 128000 tokens. However, your messages resulted in "
                "130011 tokens.",
                code="context_length_exceeded",
                param="messages",
            ),
            ErrorKind.CONTEXT_LENGTH,
            words="130011",
        ),
        "filtered before an answer": Fault(
            openai_error(
                400,
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                code="content_filter",
                param="prompt",
                innererror={
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
                },
            ),
            ErrorKind.CONTENT_FILTER,
            words="content management policy",
        ),
    }
    lacks = {
        "thoughts": "chat completions keep the thoughts of its models to themselves",
        "hidden thoughts": "nothing of them comes, so nothing has to come back",
    }

    def write(self, said: Said) -> JsonObject:
        body = super().write(said)
        choice: Any = body["choices"][0]  # type: ignore[index]
        choice["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}
        choice["message"]["refusal"] = said.text if said.finish is Finish.REFUSED else None
        if said.finish is Finish.REFUSED:
            choice["message"]["content"] = None
        return body | {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
