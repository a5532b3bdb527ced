"""Whoever waits for a large input is told how far its reading is."""

import sys
import threading
import time

import pytest

from firstline.orchestrator.submission import reading
from firstline.orchestrator.submission.run_request import Wishes, read_order


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(reading, "_SILENT_S", 0.0)
    monkeypatch.setattr(reading, "_LINE_EVERY_S", 0.02)


def slow(count):
    for number in range(count):
        yield number
        time.sleep(0.1)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "firstline-reading"]


def test_where_no_terminal_is_a_line_is_said_now_and_then(capsys):
    assert list(reading.told(slow(3), "reading it\x1b[2J")) == [0, 1, 2]
    said = capsys.readouterr().err
    assert "reading it" in said
    assert ": 2 so far, 0 s\n" in said
    assert "\x1b" not in said
    assert readers() == []


def test_on_a_terminal_one_line_is_drawn_and_taken_away(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(reading.told(slow(4), "reading it")) == [0, 1, 2, 3]
    said = capsys.readouterr().err
    assert "reading it: " in said
    assert said.endswith("\x1b[2K")


def test_what_is_read_at_once_or_not_to_its_end_leaves_nothing(capsys, monkeypatch):
    monkeypatch.setattr(reading, "_SILENT_S", 5.0)
    assert sum(reading.told(range(100_000), "reading it")) == 4_999_950_000
    begun = reading.told(slow(3), "reading it")
    assert next(begun) == 0
    assert len(readers()) == 1
    begun.close()
    assert readers() == []
    assert capsys.readouterr().err == ""


def test_what_the_command_line_reads_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"text": "x"}\n' * 3)
    order = read_order(None, Wishes(input="rows.jsonl", goal="sort them", profile="local"))
    with order.checked() as usable:
        items = iter(usable.items())
        next(items)
        time.sleep(0.2)
    assert "reading rows.jsonl: 1 so far, 0 s" in capsys.readouterr().err
