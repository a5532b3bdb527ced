"""Options of tools that are paths: relative ones are seen from the declaring file, never from where a worker runs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from firstline.schemas.base import Json
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.tool import ToolSpec

#: Options that name a folder or a file, whatever the kind.
_PATHS = ("folder", "cwd", "tokenizer")
_SQLITE = "sqlite:///"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://")


def located_tool(tool: ToolSpec, folder: Path) -> ToolSpec:
    """Return a tool with its paths made absolute: they stand beside the file in `folder` that declares it."""
    options = dict(_located(tool.options, folder))
    if tool.kind == "mcp" and tool.options.get("command") is not None:
        # A server that is a program runs beside its declaration, so that its arguments may be relative too.
        options.setdefault("cwd", str(folder.resolve()))
    return tool.evolve(options=options)


def located_workflow(workflow: Workflow, folder: Path) -> Workflow:
    """Return a workflow with the paths in its own tools' and its steps' options made absolute, seen from `folder`."""
    steps = (step.evolve(options=dict(_located(step.options, folder))) for step in workflow.steps)
    return workflow.evolve(steps=tuple(steps), tools=tuple(located_tool(tool, folder) for tool in workflow.tools))


def relative_path(owner: ToolSpec | Step) -> str | None:
    """Say which option of a tool or a step is a relative path, if one is: only a file can say relative to what."""
    name = next((name for name, path in _paths(owner.options) if not path.expanduser().is_absolute()), None)
    if name is None:
        return None
    noun = "step" if isinstance(owner, Step) else "tool"
    return f"{noun} '{owner.name}': options.{name}: expected an absolute path, got '{owner.options[name]}'"


def _located(options: Mapping[str, Json], folder: Path) -> Mapping[str, Json]:
    found = {name: str((folder / path.expanduser()).resolve()) for name, path in _paths(options)}
    if "url" in found and str(options["url"]).startswith(_SQLITE):
        found["url"] = _SQLITE + found["url"]
    return {**options, **found}


def _paths(options: Mapping[str, Json]) -> Iterator[tuple[str, Path]]:
    for name in _PATHS:
        if isinstance(value := options.get(name), str) and value:
            yield name, Path(value)
    # A database's URL is a path where it is SQLite's, or no URL at all.
    if isinstance(url := options.get("url"), str) and (url.startswith(_SQLITE) or not _URL.match(url)):
        yield "url", Path(url.removeprefix(_SQLITE))
