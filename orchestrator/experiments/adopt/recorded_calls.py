"""Recorded calls of a model, read from the logs that people have; what a line lacks costs that line alone."""

import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic_core import from_json

from firstline.orchestrator.experiments.adopt.log_formats import Half, RecordedCall, halves_in
from firstline.orchestrator.experiments.adopt.redaction import redacted
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_bounds import refusal

#: Bytes of one line, and of a file that is one JSON value.
_MOST_LINE, _MOST_FILE = 16 << 20, 256 << 20
MOST_CALLS = 1_000_000


@dataclass
class ReadLogs:
    """The calls of all files, and why others were left out."""

    calls: list[RecordedCall] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    #: Personal data in prompts and answers is masked.
    redact: bool = False

    @property
    def days(self) -> float | None:
        """The days that the calls span; None where they bear no times."""
        times: list[datetime] = [call.at for call in self.calls if call.at is not None]
        return (max(times) - min(times)).total_seconds() / 86_400 if len(times) > 1 else None

    @property
    def notes(self) -> list[str]:
        """What was left out, in words."""
        return [f"{count:,} left out: {why}" for why, count in self.left_out.most_common()]


def read_logs(files: Sequence[Path], *, redact: bool = False) -> ReadLogs:
    """Read logs of any known format; requests and answers in files of their own are joined by id.

    `redact`: personal data in prompts and answers is masked.
    UserError: a file that cannot be read, or no call with an answer in any.
    """
    found = ReadLogs(redact=redact)
    requests: dict[str, Half] = {}
    answers: dict[str, Half] = {}
    for file in files:
        for value in _values(file, found):
            halves = halves_in(value)
            if not halves:
                found.left_out["no call of a chat model in a format that is known"] += 1
            for half in halves:
                if half.request is not None and half.answer is not None:
                    _take(found, half)
                elif half.request is not None:
                    requests[half.id] = half
                elif half.answer is not None:
                    answers[half.id] = half
    for name, half in requests.items():
        answer = answers.pop(name, None)
        if answer is None:
            found.left_out["a request without an answer"] += 1
        else:
            _take(found, half.joined(answer))
    if answers:
        found.left_out["an answer without its request: give the file of requests too"] += len(answers)
    if not found.calls:
        said = "; ".join(found.notes) or "the files are empty"
        raise UserError(
            f"no recorded call with its answer ({said}); expected OpenAI batch files, chat completions as "
            '{"request": ..., "response": ...} lines, LiteLLM spend logs, or a Langfuse or OpenTelemetry export'
        )
    return found


def _take(found: ReadLogs, half: Half) -> None:
    if len(found.calls) >= MOST_CALLS:
        found.left_out[f"beyond the first {MOST_CALLS:,} calls"] += 1
        return
    call = half.whole()
    if isinstance(call, str):
        found.left_out[call] += 1
    elif (why := refusal([call.request, call.answer])[0]) is not None:
        found.left_out[f"a call that {why}"] += 1
    else:
        found.calls.append(redacted(call) if found.redact else call)


def _values(file: Path, found: ReadLogs) -> Iterator[Json]:
    """Yield the JSON values of a file: of its lines, or of the one list or object that it is."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            first = stream.readline(_MOST_LINE)
            if _parsed(first) is None and first.lstrip()[:1] in (b"[", b"{"):
                yield from _whole(first + stream.read(_MOST_FILE), file)
                return
            while first:
                if first.strip():
                    value = _parsed(first)
                    if value is None:
                        found.left_out["a line that is no JSON"] += 1
                    else:
                        yield from value if isinstance(value, list) else (value,)
                first = stream.readline(_MOST_LINE)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    except EOFError:
        raise UserError(f"{file}: the packed file ends in the middle; fetch it again") from None


def _whole(raw: bytes, file: Path) -> Iterator[Json]:
    value = _parsed(raw)
    if value is None:
        raise UserError(f"{file}: expected JSON, or a JSON value a line, and it is neither")
    yield from value if isinstance(value, list) else (value,)


def _parsed(raw: bytes) -> Json:
    try:
        value: Json = from_json(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None
