"""A provider's strict mode gets the part of a schema that it takes; the full schema decides."""

import json

import pytest

from firstline.schemas.tier import Model, Structured
from firstline.workers.providers.gateway import Reply
from firstline.workers.providers.structured_call import read_json
from firstline.workers.providers.structured_output import ask, strict_of

SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "minLength": 2},
        "b": {"type": "integer"},
        "c": {"type": ["null", "string"]},
    },
    "required": ["a"],
}


@pytest.mark.parametrize(
    ("model", "knows"),
    [
        (Model(name="openai/gpt-5"), True),
        (Model(name="openai/gpt-5", api_base="https://api.openai.com/v1"), True),
        (Model(name="openai/qwen", api_base="http://127.0.0.1:8000/v1"), False),
        (Model(name="openai/gpt-5", api_base="https://api.openai.com.example.org/v1"), False),
        (Model(name="gemini/gemini-3"), True),
        (Model(name="anthropic/claude"), True),
        (Model(name="hosted_vllm/qwen", api_base="http://vllm:8000/v1"), False),
    ],
)
def test_only_a_providers_own_server_is_known(model, knows):
    assert (strict_of(model) is not None) is knows


def test_openai_is_asked_strictly_for_what_may_be_absent_and_the_nulls_are_taken_out():
    asked = ask(Structured.JSON_SCHEMA, (), SCHEMA, "s", strict_of(Model(name="openai/gpt-5")))
    described = asked.params["response_format"]["json_schema"]
    assert described["strict"] is True
    assert described["schema"]["required"] == ["a", "b", "c"]
    reply = read_json(Reply(text='{"a": "xy", "b": null, "c": null}'), asked)
    assert reply.value == {"a": "xy", "c": None}
    assert asked.form.fits({"a": "xy", "b": None, "c": None})
    assert not asked.form.fits({"a": "x", "b": None, "c": None})


def test_a_root_that_is_no_object_is_wrapped_and_made_strict():
    asked = ask(
        Structured.JSON_SCHEMA, (), {"type": "array", "items": SCHEMA}, "s", strict_of(Model(name="openai/gpt-5"))
    )
    assert asked.params["response_format"]["json_schema"]["strict"] is True
    reply = read_json(Reply(text=json.dumps({"answer": [{"a": "xy", "b": None, "c": "z"}]})), asked)
    assert reply.value == [{"a": "xy", "c": "z"}]


def test_another_server_gets_the_schema_as_it_is():
    asked = ask(Structured.JSON_SCHEMA, (), SCHEMA, "s", strict_of(Model(name="openai/x", api_base="http://h/v1")))
    assert asked.params["response_format"]["json_schema"] == {"name": "s", "schema": SCHEMA, "strict": False}
    assert read_json(Reply(text='{"a": "xy", "b": null}'), asked).value == {"a": "xy", "b": None}
