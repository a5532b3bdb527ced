"""An item's story for people: its input, each step's prompt, each attempt with what was said of it, and its price."""

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from firstline.orchestrator.reports.formatting import count, dollars, seconds
from firstline.orchestrator.reports.item_history import AttemptLine, Held, Story
from firstline.schemas.check import CheckResult
from firstline.schemas.plan import subtask_label
from firstline.schemas.tier import Lane
from firstline.workers.providers.gateway import Message


def rendered(story: Story, prompts: Mapping[str, Sequence[Message]], held: Held | None = None) -> RenderableType:
    """Return the story as one thing that rich can print.

    `prompts`: step -> the messages of its first call; `held`: its result against the truth, where there is one.
    """
    return Group(*_blocks(story, prompts, held))


def _blocks(story: Story, prompts: Mapping[str, Sequence[Message]], held: Held | None) -> Iterator[RenderableType]:
    for step in dict.fromkeys((*prompts, *(attempt.step for attempt in story.attempts))):
        yield Rule(f"prompt of step {subtask_label(step)}", align="left")
        for message in prompts.get(step, ()):
            yield Text(f"[{message['role']}]", style="bold")
            yield Text(_content(message))
        for attempt in story.attempts:
            if attempt.step == step:
                yield Rule(f"attempt {attempt.n}: {attempt.model} ({attempt.purpose}, {attempt.tier})", align="left")
                yield from _attempt(attempt)
    for decision in story.decisions:
        yield Text(f"decided ({decision.kind}): {decision.choice} by {decision.by}: {decision.reason}")
    yield Rule("result", align="left")
    item = story.item
    output = json.dumps(story.output, indent=2, ensure_ascii=False)
    yield Text(output if item.reason is None else f"{item.status.value}: {item.reason}")
    if held is not None:
        yield Text(held.in_words, style="bold")
    yield Text(f"{count(item.attempts, 'call')}, {dollars(item.cost_usd)}, {seconds(item.latency_s)}", style="dim")
    if item.taken_from:
        yield Text(f"taken over from job {item.taken_from}: its content, skill and certificate are as they were")
    yield from _by_tier(story)


def _by_tier(story: Story) -> Iterator[RenderableType]:
    """Say what each tier took, where there were several: why the item cost what it cost."""
    tiers: dict[str, list[AttemptLine]] = {}
    for attempt in story.attempts:
        tiers.setdefault(attempt.tier, []).append(attempt)
    if len(tiers) > 1:
        yield Text("; ".join(f"{tier}: {_sum(attempts)}" for tier, attempts in tiers.items()), style="dim")


def _sum(attempts: Sequence[AttemptLine]) -> str:
    known = [one.cost_usd for one in attempts if one.cost_usd is not None]
    return f"{count(len(attempts), 'call')}, {dollars(sum(known) if known else None)}"


def _attempt(attempt: AttemptLine) -> Iterator[RenderableType]:
    yield Text(attempt.text or "(no text)")
    for check in attempt.checks:
        yield _check(check)
    if attempt.error is not None:
        yield Text(f"error: {attempt.error}" + (f": {attempt.detail}" if attempt.detail else ""), style="red")
    if attempt.confidence is not None:
        yield Text(f"confidence: {attempt.signal} {attempt.confidence:.3f}")
    yield Text(f"verdict: {attempt.verdict}: {attempt.reason}")
    written = f", {attempt.cache_write_tokens:,} written" if attempt.cache_write_tokens else ""
    tokens = f"{_count(attempt.input_tokens)} tokens in ({_count(attempt.cached_tokens)} cached{written})"
    lane = "" if attempt.service_tier in (None, Lane.STANDARD) else f" on lane {attempt.service_tier.value}"
    spent = f"{_count(attempt.output_tokens)} out, {dollars(attempt.cost_usd)}{lane}, {seconds(attempt.latency_s)}"
    yield Text(f"{tokens}, {spent}", style="dim")


def _check(check: CheckResult) -> Text:
    return Text(f"check {check.check}: passed") if check.passed else Text(f"check {check.check}: {check.reason}", "red")


def _content(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"
