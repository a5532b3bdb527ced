"""Declarations become tools, or say what is wrong with them; only a declaration grants a tool."""

from typing import Any

import pytest

from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolResult, ToolSpec
from firstline.workers.tools.base import clip, definition, read_arguments
from firstline.workers.tools.registry import KINDS, build

OPTIONS: dict[str, dict[str, Any]] = {
    "search": {"folder": "."},
    "sql": {"url": "sqlite:///x.db"},
    "function": {"path": "json:dumps"},
    "mcp": {"url": "http://localhost/mcp", "tool": "x"},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_describes_itself_for_a_model(kind: str) -> None:
    spec = ToolSpec(name="mine", kind=kind, options=OPTIONS.get(kind, {}))
    function: Any = definition(build({"mine": spec})["mine"])["function"]
    assert function["name"] == "mine"
    assert function["description"]
    assert function["parameters"]["type"] == "object"


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("serach", {}, "there is no kind 'serach'; there are: dates, dedupe, function"),
        ("search", {"fodler": "x", "folder": "y"}, "kind search has no option 'fodler' .*folder, max_chars"),
        ("search", {}, "folder: Field required"),
        ("sql", {"url": "x", "max_rows": 0}, "max_rows: .*greater than or equal to 1"),
        ("mcp", {}, "either command or url"),
        ("mcp", {"command": "x", "url": "y"}, "either command or url"),
        ("function", {"path": "a:b", "parameters": {"type": "nothing"}}, "not a JSON Schema"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong_and_what_there_is(kind: str, options: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        build({"mine": ToolSpec(name="mine", kind=kind, options=options)})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "text: Field required"),
        ({"text": 5}, "text:"),
        ({"text": "x", "extra": 1}, "extra:"),
        ({"text": "x" * 1_000_001}, "text:"),
    ],
)
def test_wrong_arguments_are_an_error_as_data(arguments: Any, reason: str) -> None:
    result = build({"mine": ToolSpec(name="mine", kind="dates")})["mine"].run(arguments)
    assert reason in str(result.error)


def test_options_of_the_caller_win_and_are_checked() -> None:
    specs = {"mine": ToolSpec(name="mine", kind="dates", options={"day_first": True})}
    value: Any = build(specs, options={"day_first": False})["mine"].run({"text": "03/04/2020"}).value
    assert value[0]["date"] == "2020-03-04"
    with pytest.raises(UserError, match="nothing"):
        build(specs, options={"nothing": 1})


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("sql", "{}", "there is no tool 'sql' here; there are: mine"),
        ("mine", "{", "as a JSON object"),
        ("mine", "[1]", "as a JSON object, got [1]"),
    ],
)
def test_a_models_call_outside_what_is_declared_is_an_error_to_send_back(
    name: str, arguments: str, reason: str
) -> None:
    answer = read_arguments(build({"mine": ToolSpec(name="mine", kind="dates")}), name, arguments)
    assert isinstance(answer, ToolResult)
    assert reason in str(answer.error)


def test_a_models_call_of_a_declared_tool_is_read() -> None:
    assert read_arguments(build({"mine": ToolSpec(name="mine", kind="dates")}), "mine", '{"text": "x"}') == {
        "text": "x"
    }


def test_a_value_that_is_too_long_becomes_a_cut_text() -> None:
    cut = clip(ToolResult(value=[1] * 100), 20)
    assert cut.truncated
    assert cut.value == "[1,1,1,1,1,1,1,1,1,1"


DEEP: list[object] = []
for _ in range(300):
    DEEP = [DEEP]
ODD = {"half a character": "a\ud800b", "a name": {"a\ud800b": 1}, "NUL": "a\0b", "300 levels": DEEP}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("chars", [1, 1000])
def test_whatever_a_tool_answers_can_be_kept_or_is_its_error(value, chars):
    result = clip(ToolResult.model_construct(value=value, error=None, truncated=False, transient=False), chars)
    text = result.model_dump_json()
    assert "\\u0000" not in text
    assert (result.error is not None) is (value is DEEP)
