"""An application that changes nothing but its `base_url`, and what it costs by the provider's own log."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from firstline.orchestrator import api
from firstline.orchestrator.quality.families.family import Family, family_of
from firstline.orchestrator.store import families

PRICES = {"cheap": (0.1, 0.4), "frontier": (5.0, 20.0)}
TEAMS = ("delivery", "payment", "returns", "account")
#: What is right is in the request itself, so that anybody can count what was lost.
TRUTH = [{"contains": f"[team {team}]", "text": json.dumps({"team": team})} for team in TEAMS] + [
    {"contains": f"[stars {n}]", "text": json.dumps({"stars": n})} for n in range(1, 6)
]
SCRIPT = """
seed: 11
steady: true
truth: truth.jsonl
models:
  cheap:
    latency: {kind: constant, seconds: 0.01}
    answer: {kind: truth, accuracy: 0.9}
    confidence: {right: 0.97, wrong: 0.5, concentration: 60}
  frontier:
    latency: {kind: constant, seconds: 0.02}
    answer: {kind: truth}
  slow:
    latency: {kind: constant, seconds: 4}
    answer: {kind: fixed, text: "roses are red and violets are blue as far as anybody here knows"}
"""

#: Written as an application's author would who has never heard of us.
APPLICATION = """
import os, random, sys
from concurrent.futures import ThreadPoolExecutor
from openai import OpenAI

client = OpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY
MODEL = os.environ["MODEL"]
rng = random.Random(int(sys.argv[2]))

def closed(name, schema):
    body = {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": name, "schema": body, "strict": True}}

def team(n):
    right = rng.choice(["delivery", "payment", "returns", "account"])
    return [{"role": "system", "content": "You route tickets of a shop. Today is 2026-11-%02d." % (1 + n % 28)},
            {"role": "user", "content": "Ticket %s-%d. [team %s]" % (sys.argv[2], n, right)}], dict(
        response_format=closed("team", {"enum": ["delivery", "payment", "returns", "account"]}), temperature=0), right

def stars(n):
    right = rng.randint(1, 5)
    return [{"role": "system", "content": "You rate reviews from one to five stars."},
            {"role": "user", "content": "Review %s-%d [stars %d]" % (sys.argv[2], n, right)}], dict(
        response_format=closed("stars", {"type": "integer", "minimum": 1, "maximum": 5})), str(right)

def poem(n):
    return [{"role": "system", "content": "You write poems for birthdays."},
            {"role": "user", "content": "A poem for guest %s-%d" % (sys.argv[2], n)}], {}, None

def tool(n):
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    return [{"role": "user", "content": "Is it raining, %s-%d?" % (sys.argv[2], n)}], dict(tools=[weather]), None

def ask(job):
    kind, messages, more, right = job
    answer = client.chat.completions.create(model=MODEL, messages=messages, **more)
    text = answer.choices[0].message.content or ""
    return "%s\\t%s" % (kind, "-" if right is None else int(right in text))

jobs = []
for n in range(int(sys.argv[1])):
    for kind in (team, stars, team, stars, poem, tool) if n % 6 == 0 else (team, stars):
        jobs.append((kind.__name__, *kind(len(jobs))))
with ThreadPoolExecutor(8) as pool:
    print("\\n".join(pool.map(ask, jobs)))
"""


def script_of(folder: Path) -> str:
    truth = folder / "truth.jsonl"
    truth.parent.mkdir(parents=True, exist_ok=True)
    truth.write_text("".join(f"{json.dumps(one)}\n" for one in TRUTH))
    return SCRIPT


def run_application(url: str, token: str, folder: Path, *, rounds: int, seed: int) -> list[tuple[str, str]]:
    """Let the application make its requests; return (kind, 1: right, 0: wrong, -: nothing is right) of each."""
    file = folder / "application.py"
    file.write_text(APPLICATION)
    env = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": token, "MODEL": "frontier", "PATH": "/usr/bin"}
    argv = [sys.executable, str(file), str(rounds), str(seed)]
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=150, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = (line.partition("\t") for line in ran.stdout.splitlines())
    return [(kind, right) for kind, _, right in found]


def bill(paid: Iterable[dict[str, Any]]) -> float:
    """Return the dollars of calls in the provider's log."""
    return sum(
        (call["input_tokens"] * PRICES[call["model"]][0] + call["output_tokens"] * PRICES[call["model"]][1]) / 1e6
        for call in paid
    )


def known() -> dict[str, Family]:
    """Return the application's families by the kind of their requests."""
    with api.engine().db.reading() as tx:
        found = [family_of(row) for row in families.listed(tx)]
    words = {"route tickets": "team", "rate reviews": "stars", "write poems": "poem"}
    named = {word: one for one in found for part, word in words.items() if part in one.prompt}
    tools = [one for one in found if one.straight and "tools" in one.straight and not one.prompt]
    return named | {"tool": tools[0]}


def settle(wanted: Callable[[dict[str, Family]], bool], timeout_s: float = 60.0) -> dict[str, Family]:
    """Wait until the families are as wanted."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = known()
        if wanted(found):
            return found
        time.sleep(0.3)
    raise TimeoutError({name: (one.state.value, one.why) for name, one in known().items()})
