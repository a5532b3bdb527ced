"""Provider keys stay in the workers' environment: after a run with known keys nothing on disk or in Redis has them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

#: Not of any provider's form, so that no pattern hides them by luck.
KEYS = {
    "ACME_KEY": "known-Kq7vZx2mP9sTacme",
    "SHARED_KEY": "known-Hw4bNd8rL3yFshared",
    "BAD_KEY": "known-Zt6cGj1kV5uEbad",
}
ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "script.yaml": """
models:
  good: {latency: 0.05, answer: from_schema}
  refusing: {faults: [{kind: auth}]}
  big: {latency: 0.05, answer: from_schema}
""",
    "functions/crash.py": '''
"""A check with a bug."""


def check(answer, item):
    if item["text"].endswith("3"):
        raise RuntimeError(f"boom: {sorted(item)}")
    return None
''',
    "items.jsonl": "".join(f'{{"id": "{n}", "text": "item {n}"}}\n' for n in range(40)),
    "job.yaml": """
name: keys
tenant: acme
script: script.yaml
input: items.jsonl
profile:
  name: keyed
  tiers:
    - name: cheap
      models:
        - {name: openai/refusing, api_base: "service:sim", api_key_env: BAD_KEY, price: {input: 1, output: 1}}
        - {name: openai/good, api_base: "service:sim", api_key_env: "{tenant}_KEY", price: {input: 1, output: 1}}
    - name: frontier
      models:
        - {name: openai/big, api_base: "service:sim", api_key_env: SHARED_KEY, price: {input: 1, output: 1}}
  services: [{name: sim, kind: simulator}]
workflow:
  name: keys
  steps: [{name: s, skill: sort}]
  skills:
    - name: sort
      instructions: Sort it.
      input: {text: {}}
      output:
        type: object
        properties: {label: {enum: [a, b]}}
        required: [label]
        additionalProperties: false
      checks: [{kind: function, path: "crash:check"}]
""",
}


@dataclass(frozen=True)
class Ran:
    """What a run left behind."""

    folder: Path
    done: "subprocess.CompletedProcess[str]"

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("secrets")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE")}
    command = [
        sys.executable,
        "-m",
        "firstline.orchestrator.cli",
        "run",
        "job.yaml",
        "--record",
        "rec.jsonl",
        "--out",
        "out.jsonl",
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**env, **KEYS, "PYTHONPATH": str(ROOT / "src"), "FIRSTLINE_LOG_LEVEL": "DEBUG"},
        text=True,
        capture_output=True,
        timeout=500,
        check=False,
    )
    return Ran(folder, done)


def test_the_run_went_through_success_refused_keys_and_a_bug(ran):
    assert ran.done.returncode == 0, ran.done.stderr
    assert "40 items" in ran.done.stdout
    logs = "".join(path.read_text(errors="replace") for path in ran.folder.rglob("*.log"))
    assert "kind=auth" in logs


@pytest.mark.parametrize("kind", ["*.db*", "*.aof", "*.log", "rec.jsonl", "out.jsonl"])
def test_there_is_something_to_look_at(ran, kind):
    assert any(path.stat().st_size for path in ran.folder.rglob(kind))


@pytest.mark.parametrize("name", KEYS)
def test_no_file_and_no_output_has_a_key(ran, name):
    key = KEYS[name]
    found = [str(path.relative_to(ran.folder)) for path in ran.files if key.encode() in path.read_bytes()]
    assert found == []
    assert key not in ran.done.stdout + ran.done.stderr
