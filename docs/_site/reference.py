"""Writes the reference pages of the docs site from the code at each build, and the pages that stand at the root."""

import ast
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[2]
_DOCS_LINK = re.compile(r"\]\(docs/([^)]+)\)")
#: A link to a file that is no page of the site.
_OUTSIDE = re.compile(
    r"(?<!!)\[([^\]]+)\]\(((?:\.\./)*(?:examples|bench|src|tests|config|schemas|workers|orchestrator|\.env"
    r"|SECURITY|LICENSE|CONTRIBUTING|docker-compose|Dockerfile)[^)]*)\)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files of `docs/`."""
    pages = {
        "index.md": _DOCS_LINK.sub(r"](\1)", (ROOT / "README.md").read_text("utf-8")).replace(
            "](CHANGELOG.md)", "](changelog.md)"
        ),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text("utf-8"),
        "reference/cli.md": "\n".join(_cli()),
        "reference/http.md": "\n".join(_http()),
        "reference/yaml.md": "\n".join(_yaml()),
        "reference/settings.md": "\n".join(_settings()),
        "reference/metrics.md": "\n".join(_metrics()),
        "reference/log_events.md": "\n".join(_log_events()),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name files that are no pages of the site instead of linking to them."""
    markdown = markdown.replace("](../README.md", "](index.md")
    return _OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2].removeprefix('../').removeprefix('../')}`)", markdown)


# The command line ----------------------------------------------------------------------------------------------------


def _cli() -> Iterator[str]:
    import click
    import typer

    from firstline.orchestrator import cli
    from firstline.orchestrator.cli._commands import app

    os.environ.setdefault("TERMINAL_WIDTH", "100")
    group = typer.main.get_command(app)
    context = click.Context(group, info_name="firstline")
    yield "# Command line\n"
    yield "`firstline COMMAND --help` says the same. Options that take a file read `-` as standard input or output.\n"
    yield "## Exit codes\n\n| code | meaning |\n|---|---|"
    for code, meaning in cli.EXIT_CODES.items():
        yield f"| {code} | {meaning} |"
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield from _command(f"firstline {name}", command)
        for inner, one in sorted(getattr(command, "commands", {}).items()):
            yield from _command(f"firstline {name} {inner}", one)


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"\n## {name}\n"
    yield inspect.cleandoc(command.help or "").split("\f")[0] + "\n"
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    if not shown:
        return
    yield "| | default | |\n|---|---|---|"
    for one in shown:
        names = ", ".join(f"`{opt}`" for opt in (*one.opts, *one.secondary_opts))
        is_argument = one.param_type_name == "argument"
        title = f"`{(one.metavar or one.name.upper()).strip('[]')}`" if is_argument else names
        default = "" if one.default in (None, (), [], False) or callable(one.default) else f"`{one.default}`"
        yield f"| {title} | {'required' if one.required else default} | {_cell(getattr(one, 'help', None) or '')} |"


# HTTP ----------------------------------------------------------------------------------------------------------------


def _http() -> Iterator[str]:
    from firstline.config.settings import get_settings
    from firstline.orchestrator.web.app import make_app

    described = make_app(get_settings(), loopback=True).openapi()
    yield "# HTTP\n"
    yield "The whole description, with schemas, is at `/openapi.json`. Errors are a `Problem` (RFC 9457).\n"
    by_tag: dict[str, list[tuple[str, str, Any]]] = {}
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            by_tag.setdefault((route.get("tags") or ["others"])[0], []).append((method.upper(), path, route))
    for tag, routes in by_tag.items():
        yield f"\n## {tag}\n\n| | | parameters |\n|---|---|---|"
        for method, path, route in routes:
            given = ", ".join(f"`{one['name']}`" for one in route.get("parameters", ()) if one["in"] == "query")
            yield f"| `{method} {path}` | {_cell(route.get('summary', ''))} | {given} |"


# Fields --------------------------------------------------------------------------------------------------------------


def _yaml() -> Iterator[str]:
    from firstline.schemas import check, comparator, jobfile, plan, policy, skill, tier, tool

    yield "# YAML fields\n"
    yield "What files of each kind may hold. `firstline check` says of each fault its file, line and field.\n"
    kinds = {
        "A job file": (jobfile.JobFile, jobfile.Tuning, plan.Quality),
        "A skill": (
            skill.Skill,
            skill.InputField,
            skill.Example,
            policy.Signal,
            policy.Policy,
            comparator.Comparator,
            comparator.Judge,
        ),
        "A workflow": (plan.Workflow, plan.Step),
        "A profile": (tier.Profile, tier.Tier, tier.Model, tier.Price, tier.Limits, tier.PromptCache, tier.Service),
        "A tool": (tool.ToolSpec, tool.ToolLimits, tool.Grant),
        "A check": tuple(
            one
            for _, one in inspect.getmembers(check, inspect.isclass)
            if issubclass(one, BaseModel) and "kind" in one.model_fields
        ),
    }
    for title, models in kinds.items():
        yield f"\n## {title}"
        for model in models:
            yield f"\n### {model.__name__}\n\n{inspect.cleandoc(model.__doc__ or '')}\n"
            yield from _fields(model)


def _settings() -> Iterator[str]:
    from firstline.config.settings import PREFIX, Settings

    yield "# Settings\n\nEnvironment variables, or lines of a file `.env` in the current folder.\n"
    yield from _fields(Settings, named=lambda name: PREFIX + name.upper())


def _fields(model: type[BaseModel], named: Any = str) -> Iterator[str]:
    said = _comments(model)
    yield "| field | type | default | |\n|---|---|---|---|"
    for name, field in model.model_fields.items():
        written = inspect.formatannotation(field.annotation).replace("firstline.schemas.", "")
        kind = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", written)
        default = "required" if field.is_required() else _default(field)
        text = field.description or said.get(name, "")
        yield f"| `{named(field.alias or name)}` | `{_cell(kind)}` | {_cell(default)} | {_cell(text)} |"


def _default(field: Any) -> str:
    if field.default is PydanticUndefined or isinstance(field.default, BaseModel):
        return ""
    default = getattr(field.default, "value", field.default)
    return "" if default in (None, "", ()) else f"`{default}`"


def _comments(model: type[BaseModel]) -> dict[str, str]:
    """Return field -> what the `#:` lines above it say, of a class and those that it is made of."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if not issubclass(one, BaseModel) or one is BaseModel:
            continue
        waiting: list[str] = []
        for line in inspect.getsource(one).splitlines():
            if comment := re.match(r"    #: ?(.*)", line):
                waiting.append(comment[1])
            elif field := re.match(r"    (\w+):", line):
                if waiting:
                    found[field[1]] = " ".join(waiting)
                waiting = []
    return found


# What it tells -------------------------------------------------------------------------------------------------------


def _metrics() -> Iterator[str]:
    from firstline.orchestrator.monitoring.live_workers import Crowd
    from firstline.orchestrator.monitoring.snapshot import InRedis, InSql, Snapshot
    from firstline.orchestrator.web.metrics import Deployment

    nothing = Snapshot(
        redis=InRedis(crowd=Crowd(), messages={}, counts={}),
        sql=InSql(loads={}, jobs={}, parked={}, unreleased=0, audits={}),
    )
    yield "# Metrics\n\nWhat `/metrics` tells Prometheus ([monitoring](../monitoring.md) has the alerts).\n"
    yield "| metric | kind | labels | |\n|---|---|---|---|"
    for one in Deployment(nothing).collect():
        labels = ", ".join(f"`{label}`" for label in getattr(one, "_labelnames", ()))
        name = f"{one.name}_total" if one.type == "counter" else one.name
        yield f"| `{name}` | {one.type} | {labels} | {_cell(one.documentation)} |"


def _log_events() -> Iterator[str]:
    yield "# Log events\n\nStable names; what each carries besides stands in `extra`, as fields in JSON.\n"
    yield "| event | level | where |\n|---|---|---|"
    for event, level, where in sorted(set(_events())):
        yield f"| `{event}` | {level} | `{where}` |"


def _events() -> Iterator[tuple[str, str, str]]:
    for package in ("config", "workers", "orchestrator"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and (found := _event(node)):
                    yield (*found, str(file.relative_to(ROOT)))


def _event(call: ast.Call) -> tuple[str, str] | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    named = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if name in ("debug", "info", "warning", "error", "exception") and named and call.args[0] is not None:
        level = name
    elif name == "log_after" and named:
        level = next((one.attr.lower() for one in call.args if isinstance(one, ast.Attribute)), "")
    else:
        return None
    return (named[0], level) if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", named[0]) else None


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
