"""What a person types, and what comes back: a sentence, a table or JSON, and an exit code."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.core import TyperGroup

from firstline.config.settings import get_settings
from firstline.orchestrator import api, cli
from firstline.orchestrator.cli._commands import PANELS, _command, _module, _names
from firstline.orchestrator.core import worker_requirements
from firstline.orchestrator.reports.decisions import Decision
from firstline.orchestrator.run import past_jobs, runner
from firstline.orchestrator.run.embedded import Runtime
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.job import ItemResult, ItemState, JobState, JobStatus, Options
from firstline.schemas.report import Percentiles, Report
from firstline.schemas.tier import Model, Profile, Tier, TierKind

PROFILE = """
name: mine
tiers:
  - name: cheap
    models: [{name: openai/small, api_base: "http://127.0.0.1:9/v1", price: {input: 1, output: 2}}]
  - name: frontier
    models: [{name: openai/large, api_base: "http://127.0.0.1:9/v1"}]
"""
JOB = """
workflow:
  name: echo
  steps: [{name: answer, skill: echo}]
  skills: [{name: echo, instructions: Repeat it., input: {text: {}}, output: {type: string}}]
input: items.csv
profile: mine.yaml
"""


def status(**changes) -> JobStatus:
    return JobStatus(
        job="j1", name="echo", state=JobState.DONE, items=2, settled=2, failed=0, created_at=datetime.now(UTC)
    ).evolve(**changes)


def report(**changes) -> Report:
    return Report(
        job="j1",
        name="echo",
        state="done",
        items=2,
        settled=2,
        failed=0,
        cost_usd=0.5,
        baseline_cost_usd=2.0,
        saving=0.75,
        escalation_rate=0.0,
        error_rate_by_model={},
        latency_s=Percentiles(),
        quality=None,
    ).evolve(**changes)


RESULTS = [
    ItemResult(item_id="a", status=ItemState.SETTLED, output={"x": 1}, tier="cheap", attempts=1, cost_usd=0.25),
    ItemResult(item_id="b", status=ItemState.FAILED, attempts=4, reason="no answer, twice"),
]


class FakeApi:
    """Stands in for firstline.orchestrator.api: remembers what it was asked, answers from a script."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.statuses = [status()]
        self.items: list[list[str]] = []
        self.requests = []
        self.raises: BaseException | None = None

    def submit(self, request, items, *, folders=()):
        self.items.append([item.item_id for item in items])
        self.requests.append(request)
        return f"j{len(self.items)}"

    def status(self, job):
        self.calls.append(("status", job))
        if job == "nope":
            raise UserError("there is no job 'nope'; `firstline jobs` lists them")
        return self.statuses[-1]

    def explained(self, statuses):
        return list(statuses)

    def watch(self, job, *, poll_s=0.2, beat_s=None):
        yield from self.statuses
        if self.raises:
            raise self.raises

    def results(self, job):
        return iter(RESULTS)

    def results_beside(self, job, *, patient=False):
        return iter([({"text": f"item {one.item_id}"}, one) for one in RESULTS])

    def report(self, job):
        return report(job=job)

    def decisions(self, job):
        if job != "j1":
            return []
        at = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
        about = {"kind": "refer", "by": "openai/large", "choice": "revise", "reason": "Vague.", "step": "answer"}
        return [Decision(at=at, item_id="b", data={"instruction": "Say more."}, **about)]

    def profile(self, job):
        return Profile(name="mine", tiers=(Tier(name="cheap", models=(Model(name="openai/small"),)),))

    def jobs(self, limit=50, *, states=()):
        return self.statuses

    def retry(self, job, *, items=None):
        self.calls.append(("retry", job, items))
        return 0 if items == ["settled"] else 1

    def raise_budget(self, job, usd):
        self.calls.append(("raise_budget", job, usd))
        return 7.0

    def cancel(self, job):
        self.calls.append(("cancel", job))
        return True

    def pause(self, job, *, reason=None):
        self.calls.append(("pause", job))
        return True

    def resume(self, job):
        self.calls.append(("resume", job))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A folder with a job in it, a fake producer API, and embedded runs that start no processes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTLINE_REDIS_URL", raising=False)
    get_settings.cache_clear()
    Path("mine.yaml").write_text(PROFILE)
    Path("job.yaml").write_text(JOB)
    Path("items.csv").write_text("id,text\na,one\nb,two\n")
    fake = FakeApi()
    for name in vars(FakeApi):
        if not name.startswith("_"):
            monkeypatch.setattr(api, name, getattr(fake, name))

    @contextmanager
    def embedded(profile, settings, *, record=None, resuming=None):
        fake.calls.append(("embedded", profile.name, resuming))
        yield Runtime(profile, lambda: None)

    monkeypatch.setattr(runner, "embedded", embedded)
    monkeypatch.setattr(past_jobs, "_baseline_reports", lambda job: {})
    monkeypatch.setattr(runner, "audit", lambda *_: None)
    monkeypatch.setattr(past_jobs, "last_job", lambda: "j9")
    yield fake
    get_settings.cache_clear()


@pytest.fixture
def firstline(capsys):
    """Run a command; return its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


# goals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("goal", "told"),
    [
        pytest.param("", "got an empty one", id="empty"),
        pytest.param(" \n", "got an empty one", id="blank"),
        pytest.param("sum it up " * 5000, "at most 20,000 characters, got 50,000", id="50 kB"),
    ],
)
def test_a_goal_that_is_none_is_refused_before_anything_starts(command, goal, told, fake, firstline):
    code, out, err = firstline(command, "--goal", goal, "--input", "items.csv", "--profile", "mine.yaml")
    assert (code, out, fake.calls) == (2, "", [])
    assert told in err
    assert len(err) < 500


def test_a_goal_and_a_workflow_together_are_refused(fake, firstline):
    code, _, err = firstline("plan", "summarize", "--goal", "Sum up.", "--input", "items.csv")
    assert (code, fake.calls) == (2, [])
    assert "got both" in err
    assert "--goal" in firstline("plan", "--input", "items.csv")[2]


# status -----------------------------------------------------------------------------------------------------------


def test_decisions_are_shown_as_a_table_as_json_and_as_none_at_all(fake, firstline):
    code, out, _ = firstline("status", "j1", "--decisions")
    assert code == 0
    told = ("2026-05-06 07:08:09", "refer", "b", "answer", "revise", "openai/large", "Vague.")
    assert all(word in out for word in told)
    code, out, err = firstline("status", "j1", "--decisions", "--json")
    assert (code, err) == (0, "")
    (said,) = json.loads(out)
    assert (said["choice"], said["item_id"], said["data"]) == ("revise", "b", {"instruction": "Say more."})
    assert "nothing was decided" in firstline("status", "j9", "--decisions")[1]


# run --------------------------------------------------------------------------------------------------------------


def test_run_takes_a_job_file_from_its_items_to_its_report(fake, firstline):
    code, out, err = firstline("run", "job.yaml", "--out", "out.jsonl")
    assert (code, fake.items) == (0, [["a", "b"]])
    assert "echo (j1): done" in out
    assert "results: out.jsonl" in out
    assert "2/2 items" in err
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [set(line) for line in lines] == [
        {"item_id", "status", "output", "tier", "confidence", "attempts", "cost_usd", "latency_s", "reason", "repaired"}
    ] * 2
    assert lines[1]["reason"] == "no answer, twice"


def test_run_with_json_prints_the_report_and_nothing_else(fake, firstline):
    code, out, err = firstline("run", "job.yaml", "--json")
    assert (code, err) == (0, "")
    assert Report.model_validate_json(out) == report()


def test_the_command_line_wins_over_the_job_file(fake, firstline):
    Path("more.jsonl").write_text('{"text":"x"}\n{"text":"y"}\n{"text":"z"}\n')
    code, _, _ = firstline("run", "job.yaml", "--input", "more.jsonl", "--limit", "2", "--budget", "1.5")
    assert (code, fake.items) == (0, [["1", "2"]])
    assert fake.requests[0].options.budget_usd == 1.5


def test_run_takes_a_workflow_by_name(fake, firstline):
    code, _, _ = firstline("run", "summarize", "--input", "items.csv", "--profile", "mine.yaml")
    assert (code, fake.requests[0].workflow.name, fake.requests[0].profile.name) == (0, "summarize", "mine")


def test_items_may_come_from_standard_input(fake, firstline, monkeypatch, tmp_path):
    with (tmp_path / "items.csv").open("rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        code, _, _ = firstline("run", "job.yaml", "--input", "-")
    assert (code, fake.items) == (0, [["a", "b"]])


def test_wanted_baselines_are_run_over_the_same_items(fake, firstline):
    Path("job.yaml").write_text(f"{JOB}baselines: [random]\n")
    code, out, err = firstline("run", "job.yaml")
    assert (code, fake.items) == (0, [["a", "b"]] * 3)
    assert [request.options.tiers for request in fake.requests] == [(), ("cheap",), ("frontier",)]
    assert "random routing (0.0% frontier)" in out
    assert "cheap only: done · 2/2 items" in err


def test_a_job_that_paused_says_why_and_how_to_go_on(fake, firstline):
    fake.statuses = [status(state=JobState.PAUSED, settled=1, reason="the budget of $1 is used up")]
    code, _, err = firstline("run", "job.yaml", "--out", "out.jsonl")
    assert code == 1
    assert "job j1 is paused (the budget of $1 is used up); go on: firstline resume j1" in err
    assert Path("out.jsonl").exists()


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(fake, firstline):
    fake.statuses = [status(state=JobState.RUNNING, settled=1)]
    fake.raises = KeyboardInterrupt()
    code, _, err = firstline("run", "job.yaml", "--out", "out.jsonl")
    assert code == 130
    assert "stopped; 1 of 2 items done and kept in .firstline. Go on: firstline resume j1" in err
    assert ("pause", "j1") in fake.calls
    assert not Path("out.jsonl").exists()


def test_ctrl_c_leaves_a_job_alone_that_others_work_on(fake, firstline, monkeypatch):
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", "redis://localhost:1/0")
    get_settings.cache_clear()
    fake.statuses = [status(state=JobState.RUNNING, settled=1)]
    fake.raises = KeyboardInterrupt()
    code, _, err = firstline("run", "job.yaml")
    assert code == 130
    assert "job j1 goes on unwatched (1 of 2 items done). Watch: firstline watch j1" in err
    assert ("pause", "j1") not in fake.calls


def test_resume_starts_what_the_job_needs_when_nothing_runs(fake, firstline):
    fake.statuses = [status(state=JobState.PAUSED), status(state=JobState.RUNNING), status()]
    monkey = iter([status(state=JobState.PAUSED)])
    api.status = lambda job: next(monkey, status())
    code, out, _ = firstline("run", "--resume", "j7")
    assert code == 0
    assert fake.calls[:2] == [("embedded", "mine", "j7"), ("resume", "j7")]
    assert "echo (j7): done" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["run"], "expected a job file, a workflow or --goal TEXT", id="nothing to run"),
        pytest.param(["run", "job.yaml", "--goal", "x"], "expected a workflow or --goal, got both", id="both"),
        pytest.param(["run", "nope"], "no workflow or skill is called 'nope'", id="unknown workflow"),
        pytest.param(["run", "summarize"], "no items: give them with --input FILE", id="no items"),
        pytest.param(["run", "job.yaml", "-i", "gone.csv"], "input gone.csv does not exist", id="missing input"),
        pytest.param(["run", "job.yaml", "-i", "mine.yaml"], "no item of mine.yaml has `text`", id="not a table"),
        pytest.param(["run", "job.yaml", "-p", "nope"], "no profile is called 'nope'", id="unknown profile"),
        pytest.param(["run", "job.yaml", "-o", "no/o"], "results cannot be written to no/o", id="no such folder"),
        pytest.param(["run", "job.yaml", "-o", "."], "results cannot be written to ., which is", id="out is a folder"),
        pytest.param(["run", "gone/job.yaml"], "gone/job.yaml", id="missing job file"),
        pytest.param(
            ["submit", "job.yaml"], "no workers run: FIRSTLINE_REDIS_URL is not set", id="nobody to submit to"
        ),
        pytest.param(["status", "nope"], "there is no job 'nope'", id="unknown job"),
        pytest.param(["tiers", "nope"], "no profile is called 'nope'", id="unknown profile to show"),
        pytest.param(["retry", "j1", "--items", "settled"], "job j1 has no failed items", id="nothing to retry"),
        pytest.param(["worker", "-t", "x", "-p", "mine.yaml"], "profile 'mine' has no tier 'x'", id="unknown tier"),
    ],
)
def test_what_a_person_can_mend_is_a_sentence_and_exit_code_2(fake, firstline, arguments, sentence):
    code, out, err = firstline(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["nope"], "No such command", id="unknown command"),
        pytest.param(["status"], "Missing argument", id="missing argument"),
        pytest.param(["run", "job.yaml", "--limit", "0"], "Invalid value", id="limit of 0"),
        pytest.param(["budget", "j1"], "by how much?", id="missing option"),
        pytest.param(["results", "j1", "--as", "xml"], "Invalid value", id="unknown format"),
    ],
)
def test_wrong_use_is_explained_with_exit_code_2(fake, firstline, arguments, complaint):
    code, _, err = firstline(*arguments)
    assert code == 2
    assert complaint in err


def test_a_bad_input_is_found_before_anything_is_started_or_submitted(fake, firstline):
    Path("items.csv").write_text("id,text\na,one\na,two\n")
    code, _, err = firstline("run", "job.yaml")
    assert code == 2
    assert "id 'a' stands twice, at row 2 and at row 3" in err
    assert (fake.calls, fake.items) == ([], [])


def test_a_tier_without_any_key_is_named_before_anything_is_started(fake, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    tier = Tier(name="cheap", models=(Model(name="openai/gpt-4o-mini"), Model(name="anthropic/claude")))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(UserError, match="expected OPENAI_API_KEY or ANTHROPIC_API_KEY in the environment"):
        worker_requirements.require_keys(Profile(name="p", tiers=(tier,)))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    worker_requirements.require_keys(Profile(name="p", tiers=(tier,)))


def test_a_profile_with_services_is_refused_where_nothing_would_start_them(fake, firstline, monkeypatch):
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", "redis://localhost:1/0")
    get_settings.cache_clear()
    Path("script.yaml").write_text("models: {}\n")
    Path("job.yaml").write_text(f"{JOB.replace('mine.yaml', 'recorded')}script: script.yaml\n")
    code, _, err = firstline("run", "job.yaml")
    assert code == 2
    assert "has services (simulator) that only `firstline run` without FIRSTLINE_REDIS_URL starts" in err


def test_broken_infrastructure_is_a_sentence_too(fake, firstline):
    fake.raises = InfrastructureError("worker-cheap stopped 6 times within a minute: see its log")
    code, _, err = firstline("run", "job.yaml")
    assert code == 2
    assert err.endswith("worker-cheap stopped 6 times within a minute: see its log\n")


def test_a_bug_names_the_file_that_holds_its_traceback(fake, firstline):
    fake.raises = ZeroDivisionError("oops")
    code, _, err = firstline("run", "job.yaml")
    (log,) = Path(".firstline/logs").glob("crash-*.log")
    assert code == 1
    assert f"something went wrong inside Firstline (ZeroDivisionError); the details are in {log}" in err
    assert "ZeroDivisionError: oops" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


# The other commands -----------------------------------------------------------------------------------------------


def test_status_and_jobs_as_text_and_as_json(fake, firstline):
    fake.statuses = [status(state=JobState.RUNNING, settled=1, failed=1, by_tier={"cheap": 1}, cost_usd=0.5)]
    assert (
        "echo (j1): running\n2/2 items · cheap 1 · escalated 0 (0%) · failed 1 · $0.5000"
        in firstline("status", "j1")[1]
    )
    assert JobStatus.model_validate_json(firstline("status", "j1", "--json")[1]) == fake.statuses[0]
    assert "running" in firstline("jobs")[1]
    assert [one["job"] for one in json.loads(firstline("jobs", "--json")[1])] == ["j1"]


def test_watch_with_json_prints_a_line_per_change(fake, firstline):
    running = status(state=JobState.RUNNING, settled=0)
    fake.statuses = [running, running, status()]
    _, out, _ = firstline("watch", "j1", "--json")
    assert [json.loads(line)["settled"] for line in out.splitlines()] == [0, 2]


def test_results_as_jsonl_on_stdout_and_as_csv_in_a_file(fake, firstline):
    _, out, _ = firstline("results", "j1")
    assert [ItemResult.model_validate_json(line) for line in out.splitlines()] == RESULTS
    firstline("results", "j1", "--out", "out.csv")
    assert Path("out.csv").read_text().splitlines() == [
        "text,x,item_id,status,tier,confidence,cost_usd,reason",
        "item a,1,a,settled,cheap,,0.25,",
        'item b,,b,failed,,,,"no answer, twice"',
    ]
    firstline("results", "j1", "--out", "nested.csv", "--format", "nested")
    assert Path("nested.csv").read_text().splitlines() == [
        "item_id,status,output,tier,confidence,attempts,cost_usd,latency_s,reason,repaired",
        'a,settled,"{""x"": 1}",cheap,,1,0.25,,,False',
        'b,failed,,,,4,,,"no answer, twice",False',
    ]


def test_report_shows_the_last_job_unless_one_is_named(fake, firstline):
    assert json.loads(firstline("report", "--json")[1])["job"] == "j9"
    assert "echo (j3): done" in firstline("report", "j3")[1]


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        pytest.param(["cancel", "j1"], ("cancel", "j1"), id="cancel"),
        pytest.param(["pause", "j1"], ("pause", "j1"), id="pause"),
        pytest.param(["budget", "j1", "--raise", "5"], ("raise_budget", "j1", 5.0), id="budget"),
        pytest.param(["retry", "j1"], ("retry", "j1", None), id="retry all"),
        pytest.param(["retry", "j1", "--items", "a, b"], ("retry", "j1", ["a", "b"]), id="retry some"),
    ],
)
def test_a_command_calls_the_one_function_that_does_it(fake, firstline, arguments, call):
    assert firstline(*arguments)[0] == 0
    assert call in fake.calls


def test_lists_of_what_there_is(fake, firstline):
    assert "summarize" in firstline("workflows")[1]
    assert "summarize" in firstline("skills")[1]
    assert "recorded" in firstline("tiers")[1]
    _, out, _ = firstline("tiers", "mine.yaml")
    assert "openai/small" in out
    assert "1 / unknown / 2" in out


def test_check_explains_who_says_what_of_a_step_s_policy(fake, firstline):
    job = JOB.replace("skill: echo}", "skill: echo, policy: {audit_share: 0.05}}").replace(
        "input: {text: {}}", "input: {text: {}}, confidence: [{kind: agreement}], policy: {min_confidence: 0.9}"
    )
    Path("job.yaml").write_text(job)
    code, out, _ = firstline("check", "job.yaml", "--explain")
    assert code == 0
    said = {tuple(line.split()) for line in out.splitlines()}
    assert ("answer", "audit_share", "0.05", "step") in said
    assert ("answer", "min_confidence", "0.9", "skill") in said
    assert ("answer", "attempts_per_tier", "2", "default") in said
    assert any(line[:4] == ("answer", "cheap", "openai/small", "0.9") for line in said)


def test_check_names_file_line_and_field(fake, firstline):
    assert firstline("check", "job.yaml")[0] == 0
    Path("job.yaml").write_text(JOB.replace("profile:", "profil:"))
    code, _, err = firstline("check", "job.yaml")
    assert code == 2
    assert "job.yaml:7:" in err
    assert "profil" in err


def test_a_worker_process_becomes_one_that_holds_no_orchestrator(fake, firstline, monkeypatch):
    became = []
    monkeypatch.setattr("os.execv", lambda path, argv: became.append(argv[2:]))
    firstline("worker", "--tier", "cheap", "--tier", "tools", "--profile", "mine.yaml", "--threads", "3")
    firstline("simulate", "script.yaml", "--port", "7", "--log", "x.jsonl")
    firstline("models", "serve", "qwen-0.5b")
    assert became == [
        ["-m", "firstline.workers.process", "--queue", "cheap", "--queue", "tools", "--threads", "3"],
        ["-m", "firstline.workers.simulator", "script.yaml", "--port", "7", "--log", "x.jsonl"],
        ["-m", "firstline.workers.local_models.server", "--model", "qwen-0.5b", "--port", "0"],
    ]


def test_the_lowest_tiers_worker_also_runs_plain_functions():
    models = (Model(name="openai/x"),)
    ladder = (Tier(name="cheap", models=models), Tier(name="frontier", queue="best", models=models))
    tools = Tier(name="code", kind=TierKind.TOOLS)
    assert worker_requirements.worker_queues(Profile(name="p", tiers=ladder)) == [("cheap", "tools"), ("best",)]
    assert worker_requirements.worker_queues(Profile(name="p", tiers=(tools, *ladder))) == [
        ("cheap", "code"),
        ("best",),
    ]


# Commands as files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _names())
def test_every_command_has_help_and_a_panel(firstline, name):
    code, out, _ = firstline(name, "--help")
    assert (code, "Usage: firstline" in out) == (0, True)
    assert _module(name).PANEL in PANELS


def test_help_loads_no_library_that_it_does_not_need():
    code = (
        "import sys; from firstline.orchestrator.cli import main; main(['--help']);"
        "heavy = {'pydantic', 'celery', 'redis', 'sqlalchemy', 'litellm', 'yaml', 'starlette', 'httpx'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# what the input has, and what is read of it -----------------------------------------------------------------------


@pytest.fixture
def misfit(fake):
    """The job's input has its texts in another column."""
    Path("items.csv").write_text("ticket,body\nt1,one long text\nt2,two\n")
    return fake


@pytest.mark.parametrize("command", ["run", "estimate", "submit", "check", "plan"])
def test_a_column_that_the_input_lacks_is_told_before_anything_starts(misfit, firstline, monkeypatch, command):
    if command == "submit":
        monkeypatch.setenv("FIRSTLINE_REDIS_URL", "redis://localhost:1/0")
        get_settings.cache_clear()
    code, _, err = firstline(command, "job.yaml")
    assert (code, misfit.items, misfit.calls) == (2, [], [])
    assert "no item of" in err
    assert "has `text`, which step 'answer' reads; its fields are: ticket, body" in err
    assert "Did you mean --map text=body" in err


def test_columns_are_mapped_by_flag_or_by_job_file(misfit, firstline):
    assert firstline("run", "job.yaml", "--map", "text=body", "--id-field", "ticket")[0] == 0
    Path("job.yaml").write_text(f"{JOB}map: {{text: body}}\nid_field: ticket\n")
    assert firstline("run", "job.yaml")[0] == 0
    assert firstline("check", "job.yaml")[0] == 0
    assert misfit.items == [["t1", "t2"]] * 2


def test_a_field_that_only_some_items_lack_is_told_and_stops_nothing(fake, firstline):
    Path("items.csv").write_text("id,text\na,one\nb,\n")
    for command in ("run", "check"):
        code, out, err = firstline(command, "job.yaml")
        assert code == 0
        assert "1 of 2 items have no `text` and will fail" in out + err


@pytest.mark.parametrize(
    ("failed", "flags", "code", "told"),
    [
        pytest.param(0, [], 0, None, id="all settled"),
        pytest.param(9, [], 0, None, id="most failed, and that is borne"),
        pytest.param(10, [], 1, "nothing settled: 10 of 10 items failed", id="nothing settled"),
        pytest.param(10, ["--fail-over", "1"], 1, "nothing settled", id="nothing settled is never borne"),
        pytest.param(1, ["--fail-over", "10%"], 0, None, id="as many as are borne"),
        pytest.param(2, ["--fail-over", "10%"], 1, "2 of 10 items failed (20.0%): more than", id="more than that"),
        pytest.param(1, ["--fail-over", "0"], 1, "1 of 10 items failed", id="none is borne"),
        pytest.param(0, ["--fail-over", "0"], 0, None, id="none is borne and none failed"),
        pytest.param(0, ["--fail-over", "120%"], 2, "expected a share such as 0.05 or 5%, got '120%'", id="no share"),
        pytest.param(0, ["--fail-over", "nan"], 2, "expected a share", id="not a number"),
        pytest.param(0, ["--fail-over", "5%5"], 2, "expected a share", id="more behind"),
    ],
)
def test_the_exit_code_says_whether_too_many_items_failed(fake, firstline, failed, flags, code, told):
    fake.statuses = [status(items=10, settled=10 - failed, failed=failed)]
    result = firstline("run", "job.yaml", *flags)
    assert result[0] == code
    assert told is None or told in result[2]


def test_a_job_of_which_nothing_settled_is_no_success_in_words(fake, firstline):
    fake.statuses = [status(settled=0, failed=2)]
    assert "done, nothing settled" in firstline("jobs")[1]
    assert "done, nothing settled" in firstline("status", "j1")[1]


# what is no success is not told as one ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_what_has_ended_is_neither_paused_nor_cancelled(fake, firstline, monkeypatch, command):
    monkeypatch.setattr(api, command, lambda job: False)
    code, out, err = firstline(command, "j1")
    assert (code, out) == (2, "")
    assert f"job j1 is done; it cannot be {'paused' if command == 'pause' else 'cancelled'}" in err


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize("command", [["run", "job.yaml", "--budget"], ["budget", "j1", "--raise"]])
def test_what_is_no_amount_of_money_is_refused_with_a_sentence(fake, firstline, command, budget):
    code, out, err = firstline(*command, budget)
    assert (code, out, fake.calls) == (2, "", [])
    assert f"expected dollars above 0, such as 2.50, got {float(budget):g}" in err


@pytest.mark.parametrize("budget_usd", [0, -1.0, float("nan"), float("inf")])
def test_options_take_no_amount_that_is_none_whether_made_or_changed(budget_usd):
    for make in (Options, Options(profile="mine").evolve):
        with pytest.raises(ValidationError):
            make(budget_usd=budget_usd)
    kept = Options(profile="mine", budget_usd=1).evolve(tenant="a")
    assert (kept.profile, kept.budget_usd, kept.model_fields_set) == ("mine", 1.0, {"profile", "budget_usd", "tenant"})


# names that are nearly right, and what programs read ---------------------------------------------------------------


def test_a_command_that_is_nearly_right_is_told_what_was_meant(firstline):
    code, out, err = firstline("rnu", "job.yaml")
    assert (code, out) == (2, "")
    assert "No such command 'rnu'; did you mean 'run'?" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_complete_in_every_shell(shell):
    env = {**os.environ, "_FIRSTLINE_COMPLETE": f"source_{shell}"}
    code = "import sys; from firstline.orchestrator.cli import main; sys.exit(main([]))"
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "_FIRSTLINE_COMPLETE=complete_" + shell in said.stdout
    asked = {
        "_FIRSTLINE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "firstline wor",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "firstline wor",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    argv = [sys.executable, "-c", code]
    said = subprocess.run(argv, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert all(name in said.stdout for name in ("worker", "workers", "workflows"))


#: Processes that run until they are stopped, and what writes lines of JSON anyway.
NO_JSON = {"flower", "mcp", "orchestrator", "serve", "simulate", "worker", "models serve", "results", "review gold"}


def every_command():
    for name in _names():
        command = _command(name)
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def test_every_command_prints_json_for_programs_but_those_that_run_until_stopped():
    without = {name for name, command in every_command() if not any("--json" in one.opts for one in command.params)}
    assert without == NO_JSON


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        pytest.param(["--failed"], [{"item_id": "b"}], id="failed"),
        pytest.param(["--tier", "cheap"], [{"item_id": "a"}], id="a tier"),
        pytest.param(["--failed", "--tier", "cheap"], [], id="both"),
    ],
)
def test_results_are_chosen_by_state_and_tier(fake, firstline, flags, lines):
    code, out, _ = firstline("results", "j1", "--fields", "item_id", *flags)
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, lines)


def test_results_show_only_the_fields_that_are_asked_for(fake, firstline):
    _, out, _ = firstline("results", "j1", "--fields", "item_id,output.x,cost_usd")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"item_id": "a", "output.x": 1, "cost_usd": 0.25},
        {"item_id": "b", "output.x": None, "cost_usd": None},
    ]
    _, out, _ = firstline("results", "j1", "--fields", "item_id,output", "--as", "csv")
    assert out.splitlines() == ["item_id,output", 'a,"{""x"": 1}"', "b,"]
    code, _, err = firstline("results", "j1", "--fields", "item_id,outputt.x")
    assert (code, "no field of a result is called 'outputt.x'" in err) == (2, True)
    assert (
        "no tier of this job is called 'chaep'; did you mean 'cheap'?" in firstline("results", "j1", "-t", "chaep")[2]
    )


@pytest.mark.parametrize("kind", ["skill", "workflow", "profile", "job"])
def test_what_is_begun_from_a_template_is_in_order(tmp_path, monkeypatch, firstline, kind):
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    Path("items.csv").write_text("id,text\n1,hello\n")
    code, out, _ = firstline("new", kind, "mine", "--json")
    assert code == 0
    file = json.loads(out)["file"]
    code, out, err = firstline("check", file)
    assert (code, err) == (0, "")
    assert firstline("new", kind, "mine")[0] == 2
    get_settings.cache_clear()


def test_jobs_are_listed_by_state(fake, firstline, monkeypatch):
    asked = []
    monkeypatch.setattr(api, "jobs", lambda limit, *, states=(): asked.append(states) or [])
    assert "no jobs in that state" in firstline("jobs", "--state", "running", "-s", "paused")[1]
    assert asked == [[JobState.RUNNING, JobState.PAUSED]]
    code, _, err = firstline("jobs", "--state", "runing")
    assert (code, "no state is called 'runing'; did you mean 'running'?" in err) == (2, True)
