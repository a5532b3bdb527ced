"""A tool's paths stand beside the file that declares them, wherever the run is started."""

from pathlib import Path

import pytest

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.jobfile import load_job
from firstline.orchestrator.plans.compile import compile_plan
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.tier import Model, Profile, Tier
from firstline.schemas.tool import ToolSpec
from firstline.workers.tools.base import Place
from firstline.workers.tools.registry import bind


def declare(home: Path, text: str) -> Path:
    file = home / "tools" / "papers.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    return file


def test_a_relative_folder_is_seen_from_the_declaring_file(tmp_path):
    declare(tmp_path, "kind: search\noptions: {folder: ../texts, top_k: 3}\n")
    options = Catalogue([tmp_path]).tool("papers").options
    assert options == {"folder": str((tmp_path / "texts").resolve()), "top_k": 3}


def test_an_absolute_folder_and_a_tool_without_one_stay_as_they_are(tmp_path):
    declare(tmp_path, f"kind: search\noptions: {{folder: {tmp_path.resolve()}}}\n")
    (tmp_path / "tools" / "sums.yaml").write_text("kind: function\noptions: {path: 'sums:add'}\n", encoding="utf-8")
    catalogue = Catalogue([tmp_path])
    assert catalogue.tool("papers").options == {"folder": str(tmp_path.resolve())}
    assert catalogue.tool("sums").options == {"path": "sums:add"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("sqlite:///data/a.db", "sqlite:///{}/tools/data/a.db", id="a SQLite URL"),
        pytest.param("../a.db", "{}/a.db", id="a bare path"),
        pytest.param("sqlite:////srv/a.db", "sqlite:////srv/a.db", id="an absolute path"),
        pytest.param("postgresql://u@h/d", "postgresql://u@h/d", id="no path at all"),
    ],
)
def test_a_databases_file_is_seen_from_the_declaring_file(tmp_path, given, expected):
    declare(tmp_path, f"kind: sql\noptions: {{url: '{given}'}}\n")
    assert Catalogue([tmp_path]).tool("papers").options == {"url": expected.format(tmp_path.resolve())}


def test_an_mcp_server_runs_beside_its_declaration(tmp_path):
    declare(tmp_path, "kind: mcp\noptions: {command: python, args: [server.py]}\n")
    options = Catalogue([tmp_path]).tool("papers").options
    assert options["cwd"] == str((tmp_path / "tools").resolve())
    bind(ToolSpec(name="papers", kind="mcp", options=options), Place())


STEP = "{name: find, kind: tool, tool: search, inputs: {query: item.text}, options: {folder: texts}}"


def test_a_steps_path_is_seen_from_its_workflows_file(tmp_path):
    file = tmp_path / "workflows" / "find.yaml"
    file.parent.mkdir()
    file.write_text(f"name: find\nsteps: [{STEP}]\n", encoding="utf-8")
    (step,) = Catalogue([tmp_path]).workflow("find").steps
    assert step.options == {"folder": str((tmp_path / "workflows" / "texts").resolve())}


def test_a_path_in_a_job_files_own_workflow_is_seen_from_the_job_file(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"text": "t"}\n', encoding="utf-8")
    tools = "tools: [{name: more, kind: search, options: {folder: more}}]"
    job = f"workflow: {{name: find, steps: [{STEP}], {tools}}}\ninput: items.jsonl\nprofile: local\n"
    (tmp_path / "job.yaml").write_text(job, encoding="utf-8")
    workflow = load_job(tmp_path / "job.yaml").workflow
    assert workflow.steps[0].options == {"folder": str((tmp_path / "texts").resolve())}
    assert workflow.tools[0].options == {"folder": str((tmp_path / "more").resolve())}


@pytest.mark.parametrize(
    "workflow",
    [
        Workflow(name="w", steps=(Step(name="s", kind=StepKind.TOOL, tool="search", options={"folder": "texts"}),)),
        Workflow(
            name="w",
            steps=(Step(name="s", kind=StepKind.TOOL, tool="t"),),
            tools=(ToolSpec(name="t", kind="sql", options={"url": "sqlite:///a.db"}),),
        ),
    ],
    ids=["of a step", "of a tool"],
)
def test_a_relative_path_without_a_file_is_refused(workflow):
    profile = Profile(name="p", tiers=(Tier(name="cheap", models=(Model(name="m"),)),))
    with pytest.raises(UserError, match="expected an absolute path"):
        compile_plan(workflow, catalogue=Catalogue(), profile=profile, tiers=(), certificates=lambda skill: {})


@pytest.mark.parametrize("name", ["regex_extract", "dates", "units", "dedupe", "python", "http_get", "search", "sql"])
def test_what_needs_no_declaration_is_a_kind_that_there_is(name):
    required = {"search": {"folder": "/x"}, "sql": {"url": "/x.db"}, "http_get": {"hosts": ["example.org"]}}
    spec = Catalogue().tool(name)
    bind(spec.evolve(options=required.get(name, {})), Place())
