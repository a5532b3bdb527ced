"""A job file names everything about one run; what it names is found beside it or refused with its line."""

import pytest

from firstline.config.catalogue.check import check_path
from firstline.config.catalogue.jobfile import is_job_file, load_job
from firstline.config.settings import get_settings
from firstline.schemas.errors import UserError
from firstline.schemas.job import Options
from firstline.schemas.jobfile import BaselineKind, JobFile

SKILL = """\
name: sort
instructions: Sort it.
input: {text: {}}
output: {type: object, properties: {label: {type: string}}}
"""


@pytest.fixture(autouse=True)
def _no_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "work"
    for name in ("skills", "functions", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "skills" / "sort.yaml").write_text(SKILL)
    (folder / "data" / "in.csv").write_text("id,text\n1,a\n")
    (folder / "answers.yaml").write_text("answers: []\n")
    return folder


def job(folder, text):
    file = folder / "job.yaml"
    file.write_text(text)
    return file


def told(folder, text, **options):
    file = job(folder, text)
    with pytest.raises(UserError) as caught:
        load_job(file, **options)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


FULL = """\
name: trial
workflow: sort
input: data/in.csv
script: answers.yaml
limit: 10
profile: recorded
quality: {gold: truth, field: label}
baselines: [cheap, frontier, random]
budget_usd: 0.5
priority: high
tenant: acme
dedupe: false
"""


def test_what_stands_beside_the_job_file_is_found_from_anywhere(folder):
    found = load_job(job(folder, FULL))
    assert found.spec.input == str(folder / "data/in.csv")
    assert found.spec.script == str(folder / "answers.yaml")
    assert found.functions == (folder / "functions",)
    assert found.workflow.steps[0].skill == "sort"
    assert found.workflow.quality.gold == "truth"
    assert found.spec.baselines == (BaselineKind.CHEAP, BaselineKind.FRONTIER, BaselineKind.RANDOM)


def test_a_job_becomes_the_request_that_submit_takes(folder):
    request = load_job(job(folder, FULL)).request
    assert (request.name, request.goal, request.profile.name) == ("trial", None, "recorded")
    options = request.options
    assert (options.profile, options.budget_usd, options.priority, options.tenant, options.dedupe) == (
        "recorded", 0.5, "high", "acme", False,
    )  # fmt: skip


def test_a_job_file_can_set_every_option_of_a_job_but_what_the_command_sets():
    assert set(Options.model_fields) - set(JobFile.model_fields) == {"purpose"}


def test_a_goal_stands_in_for_a_workflow(folder):
    found = load_job(job(folder, "goal: Sort these.\nprofile: local\n"))
    assert (found.workflow, found.request.goal, found.name) == (None, "Sort these.", "work")


def test_a_workflow_may_stand_in_the_job_file_itself(folder):
    found = load_job(job(folder, "workflow: {name: w, steps: [{name: a, skill: skills/sort.yaml}]}\nprofile: local\n"))
    assert found.workflow.skills[0].name == "sort"


def test_a_profile_may_stand_in_the_job_file_itself(folder):
    text = "workflow: sort\nprofile: {name: p, tiers: [{name: t, models: [{name: openai/x}]}]}\n"
    assert load_job(job(folder, text)).profile.ladder[0].models[0].name == "openai/x"


def test_the_commands_profile_wins_over_the_files_own(folder):
    assert load_job(job(folder, FULL), profile="cloud").request.options.profile == "cloud"


def test_the_jobs_own_folder_may_hold_a_ladder_of_a_built_in_name(folder):
    (folder / "tiers").mkdir()
    ladder = (
        "tiers: [{name: t, models: [{name: openai/q, api_base: 'service:s'}]}]\n"
        "services: [{name: s, kind: simulator, source: ../answers.yaml}]\n"
    )
    (folder / "tiers" / "recorded.yaml").write_text(ladder)
    found = load_job(job(folder, "workflow: sort\nprofile: recorded\n"))
    assert found.profile.ladder[0].models[0].name == "openai/q"
    assert found.catalogue.notes


BAD = {
    "neither workflow nor goal": (
        "goal:\nlimit: 3\n",
        ["job.yaml:1: expected `workflow:` (a name, a path or steps) or `goal:` (plain words), got neither"],
    ),
    "both workflow and goal": (
        "workflow: sort\ngoal: Sort.\n",
        ["job.yaml:1: expected `workflow:` (a name, a path or steps) or `goal:` (plain words), got both"],
    ),
    "workflow that does not exist": (
        "workflow: srot\nprofile: local\n",
        [
            "job.yaml:1: workflow: no workflow or skill is called 'srot'; did you mean 'sort'? "
            "There are: sort, summarize and synthesize"
        ],
    ),
    "workflow file that does not exist": (
        "workflow: flows/x.yaml\nprofile: local\n",
        ["job.yaml:1: workflow: flows/x.yaml: expected a file, but there is none"],
    ),
    "flaw of a workflow of its own": (
        "workflow:\n  name: w\n  steps:\n    - {name: a, skill: sort, inputs: {txt: item.text}}\nprofile: local\n",
        ["job.yaml:4: workflow.steps[0].inputs.txt: skill 'sort' has no input field 'txt'; did you mean 'text'?"],
    ),
    "typo within a workflow of its own": (
        "workflow:\n  name: w\n  stepz: []\nprofile: local\n",
        ["job.yaml:3: workflow: unknown field 'stepz'; did you mean 'steps'?"],
    ),
    "profile that does not exist": (
        "workflow: sort\nprofile: clowd\n",
        [
            "job.yaml:2: profile: no profile is called 'clowd'; did you mean 'cloud'? "
            "There are: cloud, local, ollama and recorded"
        ],
    ),
    "profile file that does not exist": (
        "workflow: sort\nprofile: ./mine.yaml\n",
        ["job.yaml:2: profile: mine.yaml: expected a file, but there is none"],
    ),
    "input that does not exist": (
        "workflow: sort\nprofile: local\ninput: in.csv\n",
        ["job.yaml:3: input: expected a file or folder, got 'in.csv'; in.csv does not exist"],
    ),
    "tier that the profile lacks": (
        "workflow: sort\nprofile: local\ntiers: [middle]\n",
        ["job.yaml:3: tiers[0]: profile 'local' has no tier 'middle'; it has tools, cheap, frontier"],
    ),
    "tier to start on that the profile lacks": (
        "workflow: {name: w, steps: [{name: a, skill: sort, policy: {start: middle}}]}\nprofile: local\n",
        [
            "job.yaml:1: workflow: step 'a' starts on tier 'middle', but profile 'local' has no such tier that models "
            "answer on; it has cheap and frontier"
        ],
    ),
    "nothing to replay": (
        "workflow: sort\nprofile: recorded\n",
        [
            "job.yaml:2: profile: profile 'recorded' replays recorded answers, but the job names none; "
            "add `script:` or choose another"
        ],
    ),
    "baseline twice": (
        "workflow: sort\nbaselines: [cheap, cheap]\n",
        ["job.yaml:1: baselines: each may stand once"],
    ),
    "baseline unknown": (
        "workflow: sort\nbaselines: [cheep]\n",
        ["job.yaml:2: baselines[0]: expected 'cheap', 'frontier' or 'random', got 'cheep'; did you mean 'cheap'?"],
    ),
    "budget of nothing": (
        "workflow: sort\nbudget_usd: 0\n",
        ["job.yaml:2: budget_usd: expected more than 0, got 0"],
    ),
    "deadline without a zone": (
        "workflow: sort\ndeadline: 2026-01-31T18:00:00\n",
        [
            "job.yaml:2: deadline: expected a time with its zone, such as 2026-01-31T18:00:00Z, "
            "got '2026-01-31T18:00:00'"
        ],
    ),
    "several at once": (
        "workflow: sort\nprofile: nope\ninput: no\nscript: no\n",
        [
            "job.yaml:2: profile: no profile is called 'nope'; there are: cloud, local, ollama and recorded",
            "job.yaml:3: input: expected a file or folder, got 'no'; no does not exist",
            "job.yaml:4: script: expected a file, got 'no'; no does not exist",
        ],
    ),
    "no job file at all": (
        "steps: []\n",
        [
            "job.yaml:1: expected a job file, got a workflow file; there are a job file (`workflow:` or `goal:`), "
            "a skill (`instructions:`), a workflow (`steps:`), a profile (`tiers:`) or a tool (`kind:`)"
        ],
    ),
}


@pytest.mark.parametrize(("text", "sentences"), BAD.values(), ids=BAD)
def test_a_job_that_cannot_run_is_told_where_and_why(text, sentences, folder):
    assert told(folder, text) == sentences


def test_the_commands_profile_is_refused_by_name(folder):
    assert told(folder, FULL, profile="nope") == [
        "no profile is called 'nope'; there are: cloud, local, ollama and recorded"
    ]


def test_standard_input_is_no_file(folder):
    assert load_job(job(folder, "workflow: sort\nprofile: local\ninput: '-'\n")).spec.input == "-"


def test_check_reads_a_job_file_with_all_that_it_names(folder):
    job(folder, FULL)
    report = check_path(folder)
    assert report.problems == ()
    assert report.summary == "1 skill and 1 job: in order"


def test_a_commands_argument_is_told_apart(folder):
    file = job(folder, FULL)
    assert is_job_file(str(file))
    assert not is_job_file(str(folder / "skills/sort.yaml"))
    assert not is_job_file("summarize")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("data/*.csv", "{}/data/*.csv"),
        ("sqlite:///shop.db?query=select 1", "sqlite:///{}/shop.db?query=select 1"),
        ("sqlite:////srv/shop.db?query=select 1", "sqlite:////srv/shop.db?query=select 1"),
        ("postgresql://host/shop?query=select 1", "postgresql://host/shop?query=select 1"),
        ("s3://bucket/mails.csv", "s3://bucket/mails.csv"),
    ],
)
def test_patterns_and_addresses_are_inputs_too(folder, written, read):
    found = load_job(job(folder, f"workflow: sort\nprofile: local\ninput: '{written}'\n"))
    assert found.spec.input == read.format(folder.absolute())
