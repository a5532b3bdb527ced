"""The tools of an MCP server become tools of ours, bounded in time."""

import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolSpec
from firstline.workers.tools import isolate
from firstline.workers.tools.base import Place
from firstline.workers.tools.isolate import discover
from firstline.workers.tools.registry import build

pytest.importorskip("mcp")

SERVER = '''
import time
from mcp.server.mcpserver import MCPServer

server = MCPServer("numbers")

@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("no luck")

@server.tool()
def hang() -> str:
    """Never ends."""
    time.sleep(60)
    return "late"

@server.tool()
def flood() -> str:
    """Never stops to talk."""
    return "x" * 1_000_000_000

server.run("stdio")
'''


@pytest.fixture
def spec(tmp_path: Path) -> ToolSpec:
    (tmp_path / "server.py").write_text(SERVER)
    options: Any = {"command": sys.executable, "args": [str(tmp_path / "server.py")], "timeout_s": 20}
    return ToolSpec(name="numbers", kind="mcp", options=options)


def test_an_answer_that_fills_memory_ends_the_call_and_nothing_else(spec: ToolSpec, tmp_path: Path) -> None:
    flood = spec.evolve(name="numbers_flood", options=dict(spec.options) | {"tool": "flood", "timeout_s": 4})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    assert isolate.run(flood, {}, place=Place(base=tmp_path)).error
    assert time.monotonic() - begun < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_server_whose_list_of_tools_fills_memory_is_refused_and_fills_none_of_ours(
    spec: ToolSpec, tmp_path: Path
) -> None:
    server = SERVER.replace("@server.tool()", "@server.tool(description='x' * 150_000_000)", 1)
    (tmp_path / "server.py").write_text(server)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError):
        discover({"numbers": spec.evolve(options={**spec.options, "timeout_s": 8})}, Place(base=tmp_path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_every_tool_of_a_server_is_declared_and_can_be_called(spec: ToolSpec, tmp_path: Path) -> None:
    place = Place(base=tmp_path)
    specs = discover({"numbers": spec}, place)
    assert sorted(specs) == ["numbers_add", "numbers_fail", "numbers_flood", "numbers_hang"]
    assert specs["numbers_add"].description == "Add two numbers."
    tools = build(specs, place)
    assert tools["numbers_add"].parameters["required"] == ["a", "b"]
    assert isolate.run(specs["numbers_add"], {"a": 2, "b": 3}, place=place).value == {"result": 5}
    assert "do not fit" in str(tools["numbers_add"].run({"a": "x"}).error)
    assert "Error executing tool fail" in str(tools["numbers_fail"].run({}).error)


def test_a_tool_that_hangs_is_left_in_time(spec: ToolSpec, tmp_path: Path) -> None:
    hanging = spec.evolve(options={**spec.options, "tool": "hang", "timeout_s": 4})
    started = time.monotonic()
    result = build({"x": hanging}, Place(base=tmp_path))["x"].run({})
    assert "4 s" in str(result.error)
    assert time.monotonic() - started < 12


@pytest.mark.parametrize(
    "options",
    [
        {"command": "/no/such/program"},
        {"command": sys.executable, "args": ["-c", "pass"]},
        {"url": "http://127.0.0.1:9/mcp"},
    ],
    ids=["no-program", "ends-at-once", "nobody-listens"],
)
def test_a_server_that_cannot_be_reached_is_named(options: dict[str, Any]) -> None:
    spec = ToolSpec(name="gone", kind="mcp", options={**options, "timeout_s": 5})
    with pytest.raises(UserError, match="MCP server"):
        discover({"gone": spec})
    called = build({"x": spec.evolve(options={**spec.options, "tool": "x"})})["x"].run({})
    assert "MCP server" in str(called.error)
