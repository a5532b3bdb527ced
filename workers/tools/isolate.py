"""Any tool call in a child process with hard limits: what hangs, forks, dies or floods comes back as data."""

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.secret_names import env_names
from firstline.schemas.tool import ToolResult, ToolSpec
from firstline.workers.tools import mcp, process
from firstline.workers.tools.base import Place, failed
from firstline.workers.tools.confinement import processes_prefix
from firstline.workers.tools.mcp import MCP
from firstline.workers.tools.registry import bind

_HARMLESS = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_LAST_WORDS = 2000


class ToolCall(Frozen):
    """What travels to the child."""

    spec: ToolSpec
    arguments: JsonObject
    options: JsonObject
    place: Place


def run(
    spec: ToolSpec,
    arguments: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    place: Place | None = None,
    stop: threading.Event | None = None,
) -> ToolResult:
    """Call a declared tool within `spec.limits`; never raises for what the tool does.

    Kinds that bound themselves run in this process, all others in a child: own session, own PID namespace where the
    machine grants one, killed with everything it started; what it prints is thrown away. The child sees only harmless
    environment variables and those that the declaration names, so no provider key. Setting `stop` kills the child.
    UserError when the declaration itself is wrong.
    """
    place = place or Place()
    tool = bind(spec, place, options)
    if tool.runs_here:
        return tool.run(arguments)
    started = time.perf_counter()
    result = _in_child(spec, dict(arguments), dict(options or {}), place, stop)
    return result.evolve(latency_s=time.perf_counter() - started)


def discover(specs: Mapping[str, ToolSpec], place: Place | None = None) -> dict[str, ToolSpec]:
    """Return the declarations with each MCP server replaced by its tools; UserError when a server cannot be reached."""
    found: dict[str, ToolSpec] = {}
    for name, spec in specs.items():
        if spec.kind == MCP.name:
            listed = run(mcp.server_of(spec), {}, place=place)
            found |= {tool.name: tool for tool in mcp.declared(spec, listed)}
        else:
            found[name] = spec
    return found


def _in_child(
    spec: ToolSpec, arguments: JsonObject, options: JsonObject, place: Place, stop: threading.Event | None
) -> ToolResult:
    limits = spec.limits
    try:
        call = to_json({"spec": spec, "arguments": arguments, "options": options, "place": _absolute(place)})
        ended = process.run(
            (*processes_prefix(), sys.executable, "-m", "firstline.workers.tools.child"),
            process.Bounds(
                timeout_s=limits.timeout_s,
                # The child itself may be a descendant of the prefix.
                processes=limits.processes + 1,
                # Escaped JSON takes up to six bytes a character.
                stdout_bytes=limits.result_chars * 6 + 10_000,
                stderr_bytes=_LAST_WORDS,
            ),
            env=_environment(spec, options),
            given=call,
            stop=stop,
        )
    except OSError as error:
        return failed(f"tool {spec.name!r} could not be called: {error}", transient=True)
    except ValueError as error:
        return failed(f"tool {spec.name!r} could not be called: {error}")
    return _read(spec, ended)


def _read(spec: ToolSpec, ended: process.ChildResult) -> ToolResult:
    if ended.stopped:
        return failed(f"tool {spec.name!r} was stopped: {ended.stopped}")
    try:
        return ToolResult.model_validate_json(bytes(ended.stdout.kept))
    except ValidationError:
        last = ended.stderr.text.strip().splitlines()[-1:]
        reason = "".join(last) or "it said nothing"
        died = f"tool {spec.name!r} died without an answer (exit code {ended.exit_code}): {reason[:500]}"
        return failed(died, transient=True)


def _absolute(place: Place) -> Place:
    return Place(
        base=place.base.resolve(),
        functions=tuple(folder.resolve() for folder in place.functions),
        cache=place.cache.expanduser().resolve(),
    )


def _environment(spec: ToolSpec, options: JsonObject) -> dict[str, str]:
    named = [name for one in env_names([spec.options, options]) for name in (one, f"{one}_FILE")]
    seen = {name: os.environ[name] for name in (*_HARMLESS, *spec.env, *named) if name in os.environ}
    ours = str(Path(__file__).absolute().parents[3])
    return {**seen, "PYTHONPATH": ours, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
