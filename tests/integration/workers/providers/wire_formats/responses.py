"""OpenAI's Responses (platform.openai.com/docs/api-reference/responses)."""

import json
from dataclasses import replace
from typing import Any

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from tests.integration.workers.providers import bills
from tests.integration.workers.providers.canned import Response
from tests.integration.workers.providers.wire_formats.chat import openai_error
from tests.integration.workers.providers.wire_formats.form import Asked, Fault, Finish, Said, WireFormat, listed

_MODES = {"json_schema": Structured.JSON_SCHEMA, "json_object": Structured.JSON_OBJECT}
_INCOMPLETE = {Finish.LENGTH: "max_output_tokens", Finish.FILTERED: "content_filter"}


class Responses(WireFormat):
    """OpenAI's models through Responses."""

    model = "openai/responses/gpt-6-luna"
    params: JsonObject = {"reasoning_effort": "low"}
    base = "/v1"
    own_type = ("openai.types.responses", "Response")
    path = "/v1/responses"
    modes = (Structured.JSON_SCHEMA, Structured.TOOL_CALL, Structured.JSON_OBJECT)
    usage = Usage(input_tokens=1600, cached_tokens=1000, cache_write_tokens=500, output_tokens=90, reasoning_tokens=60)
    unknown_mode = openai_error(
        400,
        "Invalid parameter: 'text.format' of type 'json_schema' is not supported with this model.",
        param="text.format",
    )
    unsealed = openai_error(
        400, "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'."
    )
    ids = ("call_8kZpq3", "call_Ui2Wq9")
    throttled = {
        "x-ratelimit-reset": Fault(
            openai_error(
                429,
                "Rate limit reached for gpt-6-luna.",
                code="rate_limit_exceeded",
                headers={
                    "x-ratelimit-remaining-requests": "0",
                    "x-ratelimit-reset-requests": "1m2.5s",
                    "x-ratelimit-remaining-tokens": "40000",
                    "x-ratelimit-reset-tokens": "6m0s",
                },
            ),
            ErrorKind.RATE,
            wait_s=62.5,
        ),
        "in its words": Fault(
            openai_error(
                429,
                "Rate limit reached for gpt-6-luna on tokens per min (TPM): Limit 30000. Please try again in 80ms.",
                code="rate_limit_exceeded",
            ),
            ErrorKind.RATE,
            wait_s=0.08,
        ),
    }
    faults = {
        "overflow": Fault(
            openai_error(
                400,
                "Your input exceeds the context window of this model. Please adjust your input and try again.",
                code="context_length_exceeded",
                param="input",
            ),
            ErrorKind.CONTEXT_LENGTH,
            words="adjust your input",
        ),
        "filtered before an answer": Fault(
            openai_error(
                400,
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                code="invalid_prompt",
            ),
            ErrorKind.CONTENT_FILTER,
            words="flagged",
        ),
        "an error in the body": Fault(
            Response(
                bills.responses("gpt-6-luna", sent=10, cached=0)
                | {
                    "status": "failed",
                    "output": [],
                    "usage": None,
                    "error": {"code": "server_error", "message": "The model had trouble."},
                }
            ),
            ErrorKind.SERVER,
        ),
    }

    def read(self, body: Any) -> Asked:
        seals: dict[str, str] = {}
        results: dict[str, str] = {}
        seal = ""
        for item in listed(body["input"]):
            match item:
                case {"type": "reasoning", "id": str() as name}:
                    seal = name.removeprefix("rs_")
                case {"type": "function_call", "call_id": name}:
                    seals[name] = seal
                case {"type": "function_call_output", "call_id": name, "output": output}:
                    results[name], seal = str(output), ""
        form = (body.get("text") or {}).get("format") or {}
        choice = body.get("tool_choice")
        forced = choice.get("name") if isinstance(choice, dict) else None
        mode = Structured.TOOL_CALL if forced else _MODES.get(form.get("type", ""), Structured.PROMPT)
        offered = tuple(tool["name"] for tool in body.get("tools") or ())
        return Asked(mode, form.get("schema"), offered, forced, results, seals)

    def write(self, said: Said) -> JsonObject:
        output: list[Any] = []
        if said.thoughts or said.seal:
            summary = [{"type": "summary_text", "text": said.thoughts}] if said.thoughts else []
            # What is kept at OpenAI is known by its id.
            output.append({"id": f"rs_{said.seal}", "type": "reasoning", "summary": summary})
        part: Any = {"type": "output_text", "text": said.text, "annotations": []}
        if said.finish is Finish.REFUSED:
            part = {"type": "refusal", "refusal": said.text}
        if said.text:
            output.append(
                {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
            )
        output += [
            {
                "id": f"fc_{place}",
                "type": "function_call",
                "status": "completed",
                "call_id": one.id,
                "name": one.name,
                "arguments": json.dumps(one.arguments),
            }
            for place, one in enumerate(said.wishes, 1)
        ]
        why = _INCOMPLETE.get(said.finish)
        ended = {"status": "incomplete", "incomplete_details": {"reason": why}} if why else {}
        usage = {
            "input_tokens": 1600,
            "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 500},
            "output_tokens": 90,
            "output_tokens_details": {"reasoning_tokens": 60},
            "total_tokens": 1690,
        }
        whole = bills.responses("gpt-6-luna", sent=1600, cached=1000, written=500)
        return whole | {"output": output, "usage": usage} | ended


class Unstored(Responses):
    """The same where nothing is kept at OpenAI: reasoning comes and goes back encrypted, if it is asked for."""

    params: JsonObject = {"reasoning_effort": "low", "store": False, "include": ["reasoning.encrypted_content"]}

    def read(self, body: Any) -> Asked:
        told = super().read(body)
        encrypted = {item.get("encrypted_content") for item in listed(body["input"]) if item.get("type") == "reasoning"}
        seals = {call: seal for call, seal in told.seals.items() if seal in encrypted}
        # Nobody gets what he did not ask for.
        is_asked = body.get("store") is False and body.get("include") == ["reasoning.encrypted_content"]
        return replace(told, seals=seals if is_asked else {})

    def write(self, said: Said) -> JsonObject:
        body: Any = super().write(said)
        for item in body["output"]:
            if item["type"] == "reasoning":
                item["encrypted_content"] = said.seal
        return body
