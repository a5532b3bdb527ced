"""Terminals obey nothing of what they are shown; files and pipes get it as it is."""

import io
import logging
import os
import pty
import subprocess
import sys

import pytest
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from firstline.config.telemetry.logs import _Text
from firstline.config.telemetry.terminal import shown
from firstline.orchestrator.reports.console import PlainConsole

#: Clears the screen, sets the window's title, rings, writes over the line, deletes, and again in one byte each.
COMMANDS = "a\x1b[2J\x1b]0;title\x07\rb\x08c\x7f\x9b2J\x9d"


def is_obeyed(text: str) -> bool:
    return any(sign in text for sign in ("\x1b[2J", "\x1b]0", "\x07", "\rb", "\x08", "\x7f", "\x9b", "\x9d"))


def on_terminal(code: str, *arguments: str) -> str:
    """Return all that a program writes to its terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", PYTHONUTF8="1", NO_COLOR="1")
        os.execv(sys.executable, [sys.executable, "-c", code, *arguments])
    written = b""
    while True:
        try:
            if not (piece := os.read(terminal, 65536)):
                break
        except OSError:
            break
        written += piece
    os.close(terminal)
    os.waitpid(pid, 0)
    return written.decode()


ECHOING = """
import sys, typer
from firstline.orchestrator import cli
from firstline.orchestrator.cli import _commands
def app(**_):
    typer.echo(sys.argv[1]); print(sys.argv[1]); typer.echo(sys.argv[1], err=True)
    sys.stdout.writelines([sys.argv[1]])
    from firstline.orchestrator.cli._show import show_table
    show_table(["name"], [[sys.argv[1]]])
_commands.app = app
sys.exit(cli.main([]))
"""


def test_no_command_has_a_terminal_obey_what_it_prints():
    written = on_terminal(ECHOING, COMMANDS)
    assert written.count("\u241b[2J") >= 5
    assert not is_obeyed(written)


def test_an_error_that_quotes_what_was_typed_is_not_obeyed_either():
    code = "import sys\nfrom firstline.orchestrator.cli import main\nmain(['check', sys.argv[1]])"
    written = on_terminal(code, f"{COMMANDS}.yaml")
    assert "\u241b" in written
    assert not is_obeyed(written)


def test_a_pipe_gets_all_as_it_is():
    said = subprocess.run([sys.executable, "-X", "utf8", "-c", ECHOING, COMMANDS], capture_output=True, check=True)
    assert said.stdout.count(COMMANDS.encode()) == 2, "one of print, one of writelines: typer leaves out what commands"


@pytest.mark.parametrize(
    "drawn", [COMMANDS, Text(COMMANDS), Table(COMMANDS), "bar"], ids=["str", "text", "table", "bar"]
)
def test_what_rich_draws_is_not_obeyed(drawn):
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, width=80, markup=False)
    if drawn == "bar":
        with Progress(TextColumn("{task.description}", markup=False), console=console) as bar:
            bar.add_task(COMMANDS)
    else:
        console.print(drawn, style="bold")
    assert "\u241b" in file.getvalue()
    assert "\x1b[1m" in file.getvalue() or drawn == "bar"
    assert not is_obeyed(file.getvalue())


def test_a_log_for_people_is_not_obeyed():
    record = logging.LogRecord("x", logging.INFO, "f", 1, COMMANDS, (), None)
    record.reason = COMMANDS
    assert not is_obeyed(_Text("%(message)s").format(record))


def test_ends_of_lines_and_tabs_are_as_they_were():
    assert shown("a\tb\r\nc\nd") == "a\tb\r\nc\nd"


def test_no_line_is_read_otherwise_than_it_stands_there():
    turning = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
    seen = shown("".join(f"a{chr(code)}b" for code in turning))
    assert not {*map(ord, seen)} & {*turning}
    assert shown("שלום") == "שלום"
