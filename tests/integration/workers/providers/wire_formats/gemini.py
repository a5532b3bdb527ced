"""Gemini's generateContent (ai.google.dev/api/generate-content)."""

from typing import Any

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from tests.integration.workers.providers.canned import Response
from tests.integration.workers.providers.wire_formats.form import Asked, Fault, Finish, Said, WireFormat, listed

_FINISHES = {Finish.STOP: "STOP", Finish.LENGTH: "MAX_TOKENS", Finish.FILTERED: "SAFETY"}


def _error(code: int, status: str, message: str, *details: JsonObject) -> Response:
    error: JsonObject = {"code": code, "message": message, "status": status}
    return Response({"error": error | ({"details": [*details]} if details else {})}, code)


_USAGE = {
    "promptTokenCount": 1500,
    "cachedContentTokenCount": 1000,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 60,
    "totalTokenCount": 1590,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1500}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
}


class Gemini(WireFormat):
    """Gemini at AI Studio's address."""

    model = "gemini/gemini-3-flash-preview"
    base = ""
    own_type = ("google.genai.types", "GenerateContentResponse")
    path = "/models/gemini-3-flash-preview:generateContent"
    modes = (Structured.JSON_SCHEMA, Structured.TOOL_CALL, Structured.JSON_OBJECT)
    usage = Usage(input_tokens=1500, cached_tokens=1000, output_tokens=90, reasoning_tokens=60)
    unknown_mode = _error(400, "INVALID_ARGUMENT", "JSON mode is not enabled for models/gemini-3-flash-preview")
    unsealed = _error(
        400,
        "INVALID_ARGUMENT",
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance.",
    )
    ids = ("fc-8f3a", "fc-91bc")
    throttled = {
        "RetryInfo": Fault(
            _error(
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan and billing details.",
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": "10"}],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
            ),
            ErrorKind.RATE,
            wait_s=7.5,
        ),
        "overloaded": Fault(
            _error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
            ErrorKind.SERVER,
            words="overloaded",
        ),
    }
    faults = {
        "overflow": Fault(
            _error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1203456) exceeds the maximum number of tokens allowed (1048576).",
            ),
            ErrorKind.CONTEXT_LENGTH,
            words="1203456",
        ),
        "filtered before an answer": Fault(
            Response(
                {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
            ),
            ErrorKind.CONTENT_FILTER,
            cost_usd=9e-6,
        ),
    }
    lacks = {"refused": "it has no word for it: a refusal is a text, or a filter's finish reason"}

    def read(self, body: Any) -> Asked:
        seals: dict[str, str] = {}
        results: dict[str, str] = {}
        for content in body["contents"]:
            for part in content["parts"]:
                signature = part.get("thoughtSignature") or part.get("thought_signature") or ""
                if call := part.get("functionCall") or part.get("function_call"):
                    seals[call.get("id") or call["name"]] = signature
                if told := part.get("functionResponse") or part.get("function_response"):
                    results[told.get("id") or told["name"]] = str(told["response"])
        config = body.get("generationConfig") or {}
        named = ("response_json_schema", "responseJsonSchema", "response_schema", "responseSchema")
        schema = next((config[name] for name in named if name in config), None)
        is_json = "application/json" in (config.get("response_mime_type"), config.get("responseMimeType"))
        calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        allowed = calling.get("allowedFunctionNames") or calling.get("allowed_function_names") or [None]
        forced = allowed[0] if calling.get("mode") == "ANY" else None
        mode = Structured.JSON_SCHEMA if schema else Structured.JSON_OBJECT if is_json else Structured.PROMPT
        tools = [tool for group in listed(body.get("tools")) for tool in group.get("function_declarations") or ()]
        offered = tuple(tool["name"] for tool in tools)
        return Asked(Structured.TOOL_CALL if forced else mode, schema, offered, forced, results, seals)

    def write(self, said: Said) -> JsonObject:
        parts: list[Any] = [{"text": said.thoughts, "thought": True}] if said.thoughts else []
        if said.text:
            parts.append({"text": said.text})
        for place, one in enumerate(said.wishes):
            part: dict[str, Any] = {"functionCall": {"id": one.id, "name": one.name, "args": one.arguments}}
            # The first of several calls side by side bears the signature of all.
            parts.append(part | ({"thoughtSignature": said.seal} if said.seal and place == 0 else {}))
        content: JsonObject = {"role": "model", "parts": parts} if parts else {"role": "model"}
        candidate = {"content": content, "finishReason": _FINISHES[said.finish], "index": 0}
        return {
            "candidates": [candidate],
            "usageMetadata": {**_USAGE},
            "modelVersion": "gemini-3-flash-preview",
            "responseId": "r",
        }
