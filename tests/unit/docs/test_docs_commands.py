"""Every command in the docs is one, and has the options that it is shown with."""

import re
from pathlib import Path

import pytest

from firstline.orchestrator.cli import _commands

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_COMMAND = re.compile(r"(?<![\w./:@-])firstline ((?:[a-z][a-z-]*)(?: [^`\n|;&>#]*)?)")
_OPTION = re.compile(r"(?<=\s)--?[a-z][a-z-]*")


def options_of(words):
    command = _commands._command(words[0])
    for word in words[1:]:
        if word in getattr(command, "commands", {}):
            command = command.commands[word]
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_is_there(page):
    wrong = []
    for shown in _COMMAND.findall(page.read_text("utf-8").replace("\\\n", " ")):
        words = shown.split()
        if words[0] not in _commands._names():
            continue  # a sentence's own word
        unknown = set(_OPTION.findall(re.sub(r"'[^']*'|\"[^\"]*\"", "", shown))) - options_of(words)
        wrong += [f"{shown}: {name}" for name in unknown]
    assert wrong == []
