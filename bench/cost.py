"""Measures the prompt tokens that caching order, packing and deduplication save on the examples' own prompts.

    python -m bench.cost [--quick] [--json] [--example NAME ...] [--pack N]

Each example runs as it is, on its recorded answers. From what SQL kept of it its items' prompts are put together once
more and counted three ways: as a provider's prompt cache sees them (prefixes in blocks of 128 tokens, from 1,024 on),
with what is the same for all items first, as Firstline writes them, and with the item first; in packs; and without
repeated ones. Tokens are estimated at four characters each. Then dollars at the providers' list prices: what the rule
that workers go by (`workers/rules/prompt_cache.py`) saves of each example and of a job with 4,000 static tokens, what
is written counted; and one job at once, on a slow lane and in a batch, with the prompt cache and without. Prints
{"targets": [...]} with --json.
"""

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import RowMapping

from bench.kit.figures import Target, finish, machine, parser, show
from bench.kit.lanes import Work, savings, table
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.subtask_names import base_of
from firstline.orchestrator.engine.messages import subs_of, values_of
from firstline.orchestrator.run import runner
from firstline.orchestrator.run.runner import View
from firstline.orchestrator.store import items, views
from firstline.orchestrator.submission.run_request import Wishes, read_order
from firstline.schemas.base import JsonObject, digest
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.errors import FirstlineError
from firstline.schemas.skill import Skill
from firstline.workers.execution.packer import is_short
from firstline.workers.execution.packing import packed_messages
from firstline.workers.prompts.prompt import messages, static_messages
from firstline.workers.providers.gateway import Message
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from firstline.workers.simulator.prefixes import PrefixCache
from firstline.workers.simulator.tokens import count_prompt, message_text

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUICK = ("contract_review", "data_enrichment")
#: The shortest prefix that OpenAI's prompt cache serves, in tokens.
CACHED_FROM = 1024
#: Items of an example that are looked at: enough for shares.
MOST_ITEMS = 100


@dataclass(frozen=True)
class Asked:
    """One call for an answer, put together again."""

    at: datetime
    model: str
    skill: Skill
    inputs: JsonObject
    #: Tokens of its answer.
    answered: int

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Its messages, as Firstline orders them."""
        return messages(self.skill, self.inputs)


@dataclass(frozen=True)
class Saved:
    """What one example's prompts come to, in tokens."""

    calls: int
    prompt: int
    #: Of them those that a prompt cache serves, with the common part first and with the item first.
    cached: int
    cached_item_first: int
    #: What the same items take in packs.
    packed: int
    #: Calls whose skill and inputs had come before.
    repeated: int


def calls_of(job_id: str) -> list[Asked]:
    """Return the calls for answers about a job's items in the order in which they were made."""
    steering = api.engine()
    found: list[Asked] = []
    with steering.db.reading() as tx:
        job = steering.job(tx, job_id)
        rows = [row for row in views.stream(tx, job=job_id, after=WHOLE_JOB, limit=MOST_ITEMS) if row["n"] >= 0]
        subs = subs_of(tx, job=job, numbers=[row["n"] for row in rows])
        above = values_of(subs.get(WHOLE_JOB, {}))
        for row in rows:
            values = above | values_of(subs.get(row["n"], {}))
            attempts = items.attempts(tx, job=job_id, item=row["n"])
            found += _asked(job, row["input"], values, attempts)
    return sorted(found, key=lambda one: one.at)


def _asked(job: Job, item: JsonObject, values: JsonObject, attempts: Sequence[RowMapping]) -> Iterator[Asked]:
    for attempt in attempts:
        if attempt["purpose"] != "answer" or base_of(attempt["step"]) is not None:
            continue
        step = job.plan.step(attempt["step"]).step
        if step.skill is None:
            continue
        skill = job.plan.skills[step.skill]
        inputs = inputs_of(step, skill, item, values)
        if not isinstance(inputs, Unfit):
            yield Asked(attempt["started_at"], attempt["model"], skill, inputs, attempt["output_tokens"] or 0)


def count(calls: Sequence[Asked], pack: int) -> Saved:
    """Count the tokens of calls each way."""
    prompts = [(one.model, one.prompt) for one in calls]
    turned = [(model, (prompt[-1], *prompt[:-1])) for model, prompt in prompts]
    seen = {(one.model, one.skill.digest, digest(one.inputs)) for one in calls}
    return Saved(
        calls=len(calls),
        prompt=sum(tokens(prompt) for _, prompt in prompts),
        cached=cached(prompts),
        cached_item_first=cached(turned),
        packed=in_packs(calls, pack),
        repeated=len(calls) - len(seen),
    )


def tokens(prompt: Sequence[Message]) -> int:
    """Return the tokens of a prompt."""
    return count_prompt([message_text(message) for message in prompt])


def cached(prompts: Sequence[tuple[str, Sequence[Message]]]) -> int:
    """Return the tokens that a prompt cache serves of prompts that come one after the other."""
    cache = PrefixCache()
    texts = ((model, "\n".join(map(message_text, prompt))) for model, prompt in prompts)
    return sum(cache.cached_tokens(model, text, at_least=CACHED_FROM) for model, text in texts)


def in_packs(calls: Sequence[Asked], pack: int) -> int:
    """Return the tokens of the same calls where short items of a skill and model share one."""

    def key(one: Asked) -> tuple[str, str]:
        return one.model, one.skill.digest

    total = 0
    for _, group in itertools.groupby(sorted(calls, key=key), key=key):
        together = list(group)
        short = [one for one in together if is_short(one.inputs) and not one.skill.tools]
        total += sum(tokens(one.prompt) for one in together if one not in short)
        for at in range(0, len(short), pack):
            part = short[at : at + pack]
            alone = len(part) == 1
            total += tokens(part[0].prompt if alone else packed_messages(part[0].skill, [one.inputs for one in part]))
    return total


def play(example: str) -> list[Asked]:
    """Run an example on its recorded answers in a folder of its own and return its calls."""
    with tempfile.TemporaryDirectory(prefix="firstline-cost-") as folder:
        os.environ["FIRSTLINE_STATE_DIR"] = folder
        for name in ("FIRSTLINE_DATABASE_URL", "FIRSTLINE_REDIS_URL"):
            os.environ.pop(name, None)
        get_settings.cache_clear()
        wishes = Wishes(profile="recorded", limit=MOST_ITEMS)
        order = read_order(str(EXAMPLES / example / "job.yaml"), wishes)
        finished = runner.run(replace(order, baselines=()), View(quiet=True))
        return calls_of(finished.status.job)


def targets(example: str, saved: Saved, pack: int) -> list[Target]:
    """Return what is left of the tokens each way; each must be less than without."""
    order = (saved.prompt - saved.cached) / max(1, saved.prompt - saved.cached_item_first)
    shares = {
        f"{example}: tokens charged in full, common part first over item first": order,
        f"{example}: prompt tokens in packs of {pack} over alone": saved.packed / saved.prompt,
    }
    return [
        {"name": name, "value": round(share, 3), "target": "<= 1", "met": share <= 1} for name, share in shares.items()
    ]


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("cost", __doc__ or "", f"only {' and '.join(QUICK)}")
    made.add_argument("--example", action="append", help="only this example; may be repeated")
    made.add_argument("--pack", type=int, default=5, help="items that share a call (default 5)")
    options = made.parse_args(argv)
    seen, found = machine(), []
    show(seen, options)
    jobs: dict[str, Sequence[Work]] = {}
    for example in options.example or (QUICK if options.quick else _examples()):
        targets, works = measure(example, options)
        found += targets
        jobs |= {example: works} if works else {}
    jobs["4,000 static tokens"] = [Work()]
    for line in ("", *savings(jobs), "", *table(Work())):
        show(line, options)
    return finish({"bench": "cost", "machine": seen, "targets": found}, options)


def measure(example: str, options: argparse.Namespace) -> tuple[list[Target], list[Work]]:
    """Measure one example; one that cannot run is reported as such."""
    try:
        calls = play(example)
    except FirstlineError as error:
        return [{"name": example, "value": f"not measured: {str(error)[:200]}", "target": "<= 1", "met": None}], []
    saved = count(calls, options.pack)
    show(
        f"{example:20} {saved.calls:4} calls, {saved.prompt / saved.calls:6,.0f} tokens a prompt; from the cache "
        f"{saved.cached / saved.prompt:5.1%} (item first {saved.cached_item_first / saved.prompt:5.1%}); in packs of "
        f"{options.pack} {1 - saved.packed / saved.prompt:5.1%} fewer; repeated {saved.repeated / saved.calls:5.1%}",
        options,
    )
    return targets(example, saved, options.pack), works_of(calls)


def works_of(calls: Sequence[Asked]) -> list[Work]:
    """Return what each skill of a job asks, as if one model answered it all: calls, static part, the rest, answers."""

    def mean(figures: Iterable[int], among: Sequence[Asked]) -> int:
        return round(sum(figures) / len(among))

    grouped: dict[str, list[Asked]] = {}
    for one in calls:
        grouped.setdefault(one.skill.digest, []).append(one)
    return [
        Work(
            calls=len(group),
            static=(static := tokens(static_messages(group[0].skill))),
            own=mean((tokens(one.prompt) - static for one in group), group),
            answer=mean((one.answered for one in group), group),
        )
        for group in grouped.values()
    ]


def _examples() -> list[str]:
    return sorted(path.parent.name for path in EXAMPLES.glob("*/job.yaml"))


if __name__ == "__main__":
    sys.exit(main())
