"""Finds the commands: one file each in this folder, loaded when it is needed.

A file `status.py` is the command `status`: its function `status`, or its `app` (a typer app) for a group of commands;
`PANEL` names its place in the help. `audit_log.py` is the command `audit-log`; a file whose name would be a keyword
gets an underscore behind (`try_.py`). Files that begin with an underscore are no commands. Command files import typer
at the top and all else inside the function. What changes a deployment says so by `NOTED`, and stands in the audit log:
True, or the words of which it needs one.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pkgutil import iter_modules
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from firstline.config.errors.error_messages import suggestion
from firstline.orchestrator import cli
from firstline.schemas.errors import UserError

#: The help shows panels in this order; a panel that is not listed comes last.
PANELS = ("Run", "Jobs", "Quality", "Set up", "Processes")


class CommandFolder(TyperGroup):
    """A group whose commands are the files of this folder."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands' names, panel by panel."""
        return sorted(_names(), key=lambda name: (_panel_order(_module(name)), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command, or return None when there is none of that name."""
        return _command(cmd_name) if cmd_name in _names() else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return what is to be run; UserError with what was probably meant when there is no such command."""
        if args and not args[0].startswith("-") and args[0] not in _names() and not ctx.resilient_parsing:
            meant = suggestion(args[0], _names()) or "; `firstline --help` lists them"
            raise UserError(f"No such command '{args[0]}'{meant}")
        return super().resolve_command(ctx, args)


def is_noted(words: Sequence[str]) -> bool:
    """Return whether a command line, as it was typed, belongs into the audit log."""
    if not words or words[0] not in _names() or {"--help", "-h", "--dry-run"} & {*words}:
        return False
    noted = getattr(_module(words[0]), "NOTED", False)
    # The command of a group, and options; what stands elsewhere may be called as it likes.
    said = {word.partition("=")[0] for n, word in enumerate(words[1:]) if n == 0 or word.startswith("-")}
    return noted if isinstance(noted, bool) else not said.isdisjoint(noted)


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(_found()))


def _found() -> Iterator[str]:
    for module in iter_modules(cli.__path__):
        if not module.name.startswith("_"):
            yield _command_name(module.name)


def _command_name(file: str) -> str:
    return file.removesuffix("_").replace("_", "-")


def _module(name: str) -> ModuleType:
    known = {_command_name(module.name): module.name for module in iter_modules(cli.__path__)}
    return import_module(f"{cli.__name__}.{known[name]}")


@cache
def _command(name: str) -> Any:
    module = _module(name)
    panel = _panel(module)
    outer = typer.Typer(add_completion=False)
    if (group := getattr(module, "app", None)) is not None:
        outer.add_typer(group, name=name, rich_help_panel=panel)
    else:
        function = getattr(module, module.__name__.rpartition(".")[2])
        outer.command(name, rich_help_panel=panel, context_settings=getattr(module, "CONTEXT", None))(function)
    command = typer.main.get_command(outer)
    return command.commands[name] if isinstance(command, TyperGroup) else command


def _panel(module: ModuleType) -> str:
    return getattr(module, "PANEL", "Others")


def _panel_order(module: ModuleType) -> int:
    panel = _panel(module)
    return PANELS.index(panel) if panel in PANELS else len(PANELS)


app = typer.Typer(
    cls=CommandFolder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(version("firstline"))
    except PackageNotFoundError:
        typer.echo("not installed")
    raise typer.Exit


@app.callback()
def _firstline(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run LLM work at the price of the cheap model and the quality of the frontier one."""
