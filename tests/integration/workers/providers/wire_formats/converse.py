"""Bedrock's Converse (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html)."""

from base64 import b64decode, b64encode
from functools import cache
from typing import Any

from botocore.session import Session
from botocore.validate import ParamValidator

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from tests.integration.workers.providers.canned import Response
from tests.integration.workers.providers.wire_formats.form import Asked, Fault, Finish, Said, WireFormat

_STOPS = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.FILTERED: "guardrail_intervened"}


def _error(status: int, kind: str, message: str) -> Response:
    return Response({"message": message}, status, {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/"})


@cache
def _service() -> Any:
    return Session().get_service_model("bedrock-runtime")


class Converse(WireFormat):
    """Claude on Bedrock."""

    model = "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    params: JsonObject = {"aws_region_name": "us-east-1", "max_tokens": 4096}
    base = ""
    path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    modes = (Structured.JSON_SCHEMA, Structured.TOOL_CALL)
    usage = Usage(
        input_tokens=1600,
        cached_tokens=1000,
        cache_write_tokens=500,
        cache_write_long_tokens=200,
        output_tokens=90,
    )
    unknown_mode = _error(
        400,
        "ValidationException",
        "This model doesn't support the outputConfig.textFormat field. Remove it and try again.",
    )
    unsealed = _error(
        400,
        "ValidationException",
        "The model returned the following errors: messages.1.content.0.type: Expected `thinking` or "
        "`redacted_thinking`, but found `tool_use`.",
    )
    ids = ("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "tooluse_Ui2Wq9x0S3mAyJE5GIl7Qw")
    throttled = {
        "its words": Fault(
            _error(429, "ThrottlingException", "Too many requests, please wait before trying again."),
            ErrorKind.RATE,
            words="Too many requests",
        ),
        "no capacity": Fault(
            _error(503, "ServiceUnavailableException", "Bedrock is unable to process your request."), ErrorKind.SERVER
        ),
    }
    faults = {
        "overflow": Fault(
            _error(400, "ValidationException", "Input is too long for requested model."),
            ErrorKind.CONTEXT_LENGTH,
            words="too long",
        ),
        "filtered before an answer": Fault(
            _error(
                400,
                "ValidationException",
                "The model returned the following errors: Output blocked by content filtering policy",
            ),
            ErrorKind.CONTENT_FILTER,
        ),
    }
    lacks = {"refused": "its reasons to stop know none but a filter's"}

    def vouch(self, asked: Any, answered: Any) -> None:
        operation = _service().operation_model("Converse")
        for part, shape in ((asked | {"modelId": "m"}, operation.input_shape), (answered, operation.output_shape)):
            if (report := ParamValidator().validate(part, shape)).has_errors():
                raise ValueError(report.generate_report())

    def read(self, body: Any) -> Asked:
        seals: dict[str, str] = {}
        results: dict[str, str] = {}
        for message in body["messages"]:
            seal = ""
            for block in message["content"]:
                match block:
                    case {"reasoningContent": {"reasoningText": {"signature": str() as signature}}}:
                        seal = signature
                    case {"reasoningContent": {"redactedContent": str() as data}}:
                        seal = b64decode(data).decode()
                    case {"toolUse": {"toolUseId": name}}:
                        seals[name] = seal
                    case {"toolResult": {"toolUseId": name, "content": content}}:
                        results[name] = str(content)
        config = body.get("toolConfig") or {}
        forced = (config.get("toolChoice", {}).get("tool") or {}).get("name")
        offered = tuple(tool["toolSpec"]["name"] for tool in config.get("tools") or () if "toolSpec" in tool)
        form = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("type")
        mode = Structured.JSON_SCHEMA if form else Structured.TOOL_CALL if forced else Structured.PROMPT
        return Asked(mode, None, offered, forced, results, seals)

    def write(self, said: Said) -> JsonObject:
        content: list[Any] = []
        if said.thoughts:
            content.append({"reasoningContent": {"reasoningText": {"text": said.thoughts, "signature": said.seal}}})
        elif said.seal:
            # A blob of Bedrock's around what is Base64 at Anthropic already.
            content.append({"reasoningContent": {"redactedContent": b64encode(said.seal.encode()).decode()}})
        if said.text:
            content.append({"text": said.text})
        content += [{"toolUse": {"toolUseId": one.id, "name": one.name, "input": one.arguments}} for one in said.wishes]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "tool_use" if said.wishes else _STOPS[said.finish],
            "metrics": {"latencyMs": 5},
            "usage": {
                "inputTokens": 100,
                "cacheReadInputTokens": 1000,
                "cacheWriteInputTokens": 500,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 300}, {"ttl": "1h", "inputTokens": 200}],
                "outputTokens": 90,
                "totalTokens": 1690,
            },
        }
