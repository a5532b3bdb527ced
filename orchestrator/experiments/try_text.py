"""A tried skill for people: the prompt as it was sent, then each attempt with what was said of it."""

import json
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from firstline.orchestrator.experiments.try_skill import Trial
from firstline.orchestrator.reports.formatting import count, dollars, seconds
from firstline.orchestrator.reports.item_history import AttemptLine
from firstline.schemas.check import CheckResult
from firstline.workers.providers.gateway import Message


def rendered(trial: Trial) -> RenderableType:
    """Return the trial as one thing that rich can print."""
    return Group(*_blocks(trial))


def _blocks(trial: Trial) -> Iterator[RenderableType]:
    yield Rule("prompt", align="left")
    for message in trial.prompt:
        yield Text(f"[{message['role']}]", style="bold")
        yield Text(_content(message))
    for attempt in trial.story.attempts:
        yield Rule(f"attempt {attempt.n}: {attempt.model} ({attempt.purpose})", align="left")
        yield from _attempt(attempt)
    yield Rule("result", align="left")
    item = trial.story.item
    output = json.dumps(trial.story.output, indent=2, ensure_ascii=False)
    yield Text(output if item.reason is None else f"{item.status.value}: {item.reason}")
    yield Text(f"{count(item.attempts, 'call')}, {dollars(item.cost_usd)}, {seconds(item.latency_s)}", style="dim")


def _attempt(attempt: AttemptLine) -> Iterator[RenderableType]:
    yield Text(attempt.text or "(no text)")
    for check in attempt.checks:
        yield _check(check)
    if attempt.error is not None:
        yield Text(f"error: {attempt.error}" + (f": {attempt.detail}" if attempt.detail else ""), style="red")
    if attempt.confidence is not None:
        yield Text(f"confidence: {attempt.signal} {attempt.confidence:.3f}")
    yield Text(f"verdict: {attempt.verdict}: {attempt.reason}")
    tokens = f"{_count(attempt.input_tokens)} tokens in ({_count(attempt.cached_tokens)} cached)"
    spent = f"{_count(attempt.output_tokens)} out, {dollars(attempt.cost_usd)}, {seconds(attempt.latency_s)}"
    yield Text(f"{tokens}, {spent}", style="dim")


def _check(check: CheckResult) -> Text:
    return Text(f"check {check.check}: passed") if check.passed else Text(f"check {check.check}: {check.reason}", "red")


def _content(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"
