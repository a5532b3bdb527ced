"""Logs as people have them: the same call in every format, and what is wrong with single lines."""

import gzip
import json

import pytest

from firstline.orchestrator.experiments.adopt.recorded_calls import read_logs
from firstline.schemas.errors import UserError

MESSAGES = [{"role": "system", "content": "You sort."}, {"role": "user", "content": "Where is it?"}]
USAGE = {"prompt_tokens": 12, "completion_tokens": 3}
ANSWER = {
    "model": "gpt-4o-2024-08-06",
    "created": 1_790_000_000,
    "choices": [{"message": {"role": "assistant", "content": "delivery"}}],
    "usage": USAGE,
}
REQUEST = {"model": "gpt-4o", "messages": MESSAGES, "temperature": 0}


def otel(name, value):
    return {"key": name, "value": value}


PARTS = [{"role": one["role"], "parts": [{"type": "text", "content": one["content"]}]} for one in MESSAGES]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "delivery"}]}]
FORMATS = {
    "batch": [
        {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": REQUEST},
        {"custom_id": "a", "response": {"status_code": 200, "body": ANSWER}},
    ],
    "pairs": [{"request": REQUEST, "response": ANSWER}],
    "litellm": [
        {
            "request_id": "r",
            "call_type": "acompletion",
            "spend": 0.002,
            "model": "gpt-4o-2024-08-06",
            "messages": json.dumps(MESSAGES),
            "response": json.dumps(ANSWER),
            "proxy_server_request": json.dumps(REQUEST),
            "startTime": "2026-09-21T14:13:20Z",
            **USAGE,
        }
    ],
    "langfuse": [
        {
            "type": "GENERATION",
            "model": "gpt-4o-2024-08-06",
            "modelParameters": {"temperature": 0},
            "input": MESSAGES,
            "output": {"role": "assistant", "content": "delivery"},
            "usageDetails": {"input": 12, "output": 3},
            "calculatedTotalCost": 0.002,
            "startTime": "2026-09-21T14:13:20.000Z",
        }
    ],
    "opentelemetry": [
        {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "startTimeUnixNano": "1790000000000000000",
                                    "attributes": [
                                        otel("gen_ai.operation.name", {"stringValue": "chat"}),
                                        otel("gen_ai.response.model", {"stringValue": "gpt-4o-2024-08-06"}),
                                        otel("gen_ai.request.temperature", {"doubleValue": 0}),
                                        otel("gen_ai.usage.input_tokens", {"intValue": "12"}),
                                        otel("gen_ai.usage.output_tokens", {"intValue": 3}),
                                        otel("gen_ai.input.messages", {"stringValue": json.dumps(PARTS)}),
                                        otel(
                                            "gen_ai.output.messages",
                                            {
                                                "stringValue": json.dumps(
                                                    [
                                                        {
                                                            "role": "assistant",
                                                            "parts": [{"type": "text", "content": "delivery"}],
                                                        }
                                                    ]
                                                )
                                            },
                                        ),
                                    ],
                                }
                            ]
                        }
                    ]
                }
            ]
        }
    ],
}


def written(path, values):
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_tells_the_same_call(tmp_path, name):
    (call,) = read_logs([written(tmp_path / "log.jsonl", FORMATS[name])]).calls
    assert call.request["messages"] == MESSAGES
    assert call.request["temperature"] == 0
    assert call.answer == "delivery"
    assert call.model == "gpt-4o-2024-08-06"
    assert (call.input_tokens, call.output_tokens) == (12, 3)
    assert call.at is not None
    assert call.at.timestamp() == 1_790_000_000
    assert call.cost_usd in (None, 0.002)


def test_one_json_value_over_many_lines_and_packed_files_are_read_too(tmp_path):
    whole = tmp_path / "export.json"
    whole.write_text(json.dumps(FORMATS["pairs"], indent=2))
    packed = tmp_path / "log.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(FORMATS["pairs"][0]).encode()))
    assert len(read_logs([whole, packed]).calls) == 2


def test_what_is_wrong_with_a_line_costs_that_line(tmp_path):
    lines = [
        json.dumps(FORMATS["pairs"][0]),
        "no json",
        json.dumps({"weather": "fine"}),
        json.dumps({"request": {"model": "a"}, "response": ANSWER}),
        json.dumps({"request": REQUEST, "response": {"choices": []}}),
        json.dumps({"custom_id": "x", "body": REQUEST}),
        json.dumps({"custom_id": "y", "response": {"body": ANSWER}}),
        "[" * 100_000,
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(lines))
    found = read_logs([file])
    assert len(found.calls) == 1
    assert sum(found.left_out.values()) == 7
    told = " ".join(found.notes)
    for why in (
        "no JSON",
        "format",
        "without its messages",
        "without text",
        "without an answer",
        "without its request",
    ):
        assert why in told


@pytest.mark.parametrize("text", ["", "{}\n", json.dumps({"custom_id": "x", "body": REQUEST})])
def test_logs_without_an_answer_are_refused_in_a_sentence(tmp_path, text):
    file = tmp_path / "log.jsonl"
    file.write_text(text)
    with pytest.raises(UserError, match="no recorded call with its answer"):
        read_logs([file])
