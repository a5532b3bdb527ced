"""The catalogue finds what is named, checks it against everything it names, and says what is wrong where."""

from pathlib import Path
from textwrap import dedent

import pytest

from firstline.config.catalogue.catalogue import BUILT_IN, Catalogue, load_catalogue
from firstline.config.catalogue.check import check_path
from firstline.config.catalogue.file_kinds import FileKind
from firstline.schemas.errors import UserError

SKILL = """\
name: sort
instructions: Sort it.
input: {text: {}}
output:
  type: object
  properties:
    label: {enum: [a, b]}
    parts: {type: array, items: {type: object, properties: {quote: {type: string}}}}
  required: [label]
"""

WORKFLOW = """\
name: flow
steps:
  - {name: first, skill: sort}
  - {name: second, skill: sort, inputs: {text: first.label}, when: first.label == 'a'}
output: second
"""


def test_what_stands_under_a_tenant_is_its_own_and_goes_before_what_all_have(home):
    write(home, "tenants/acme/skills/sort.yaml", SKILL.replace("Sort it.", "Sort it as Acme does."))
    write(home, "tenants/acme/workflows/flow.yaml", WORKFLOW)
    write(home, "tenants/acme/tools/find.yaml", "name: find\nkind: search\n")
    acme, other = load_catalogue([home], tenant="acme"), load_catalogue([home], tenant="other")
    assert acme.skill("sort").instructions == "Sort it as Acme does."
    assert acme.parts(acme.workflow("flow")).skills["sort"].instructions == "Sort it as Acme does."
    assert [tool.name for tool in acme.tools] == ["find"]
    for catalogue in (other, load_catalogue([home])):
        assert catalogue.skill("sort").instructions == "Sort it."
        assert "flow" not in catalogue.workflows
        assert list(catalogue.tools) == []
    assert acme.problems == other.problems == ()
    assert check_path(home).problems == ()


@pytest.mark.parametrize("tenant", ["../tenants/acme", "acme/..", "..", ".", "", "a\0b"])
def test_no_tenants_name_leads_out_of_its_folder(home, tenant):
    write(home, "tenants/acme/skills/own.yaml", SKILL.replace("name: sort", "name: own"))
    assert "own" not in load_catalogue([home / "tenants"], tenant=tenant).skills
    assert "own" not in load_catalogue([home], tenant=tenant).skills


@pytest.fixture
def home(tmp_path):
    write(tmp_path, "skills/sort.yaml", SKILL)
    return tmp_path


def write(home, name, text):
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text), encoding="utf-8")
    return file


def told(ask, *, home=None):
    with pytest.raises(UserError) as caught:
        ask()
    return str(caught.value).replace(f"{home}/", "").splitlines()


def test_everything_that_is_built_in_is_in_order():
    report = check_path(BUILT_IN)
    assert report.problems == ()
    assert report.summary == "8 skills, 1 workflow and 4 profiles: in order"


def test_own_files_stand_beside_the_built_in_ones(home):
    catalogue = Catalogue([home])
    assert [skill.name for skill in catalogue.skills] == ["sort", "summarize", "synthesize"]
    assert catalogue.skill("sort").instructions == "Sort it."


def test_a_file_without_a_name_is_called_like_the_file(tmp_path):
    write(tmp_path, "skills/plain.yaml", SKILL.replace("name: sort\n", ""))
    assert Catalogue([tmp_path]).skill("plain").name == "plain"


def test_an_own_file_wins_over_a_built_in_one_and_it_is_said(tmp_path):
    file = write(tmp_path, "skills/summarize.yaml", SKILL.replace("name: sort", "name: summarize"))
    catalogue = Catalogue([tmp_path])
    assert catalogue.skill("summarize").instructions == "Sort it."
    assert catalogue.notes == (f"skill 'summarize' of {file} is used instead of the built-in one",)


def test_two_own_files_of_one_name_are_refused(home):
    write(home, "skills/again.yaml", SKILL)
    assert told(lambda: Catalogue([home]).skill("sort"), home=home) == [
        "skills/sort.yaml: two of your files declare the skill 'sort', this one and skills/again.yaml; rename one"
    ]


def test_a_broken_file_matters_only_to_who_asks_for_it(home):
    write(home, "skills/broken.yaml", "name: broken\n")
    catalogue = Catalogue([home])
    assert catalogue.skill("sort").name == "sort"
    assert len(told(lambda: catalogue.skill("broken"))) == 3


UNKNOWN = {
    "skill, close": (
        lambda c: c.skill("sorte"),
        "no skill is called 'sorte'; did you mean 'sort'? There are: sort, summarize and synthesize",
    ),
    "skill": (lambda c: c.skill("xyz"), "no skill is called 'xyz'; there are: sort, summarize and synthesize"),
    "workflow": (
        lambda c: c.workflow("sumarise"),
        "no workflow or skill is called 'sumarise'; did you mean 'summarize'? "
        "There are: sort, summarize and synthesize",
    ),
    "profile": (
        lambda c: c.profile("Local"),
        "no profile is called 'Local'; did you mean 'local'? There are: cloud, local, ollama and recorded",
    ),
    "tool": (lambda c: c.tool("xyz"), "no tool is called 'xyz'; there is none"),
    "path": (lambda c: c.skill("no/such.yaml"), "no/such.yaml: expected a file, but there is none"),
}


@pytest.mark.parametrize(("ask", "sentence"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_name_is_told_with_what_there_is(ask, sentence, home):
    assert told(lambda: ask(Catalogue([home]))) == [sentence]


def test_a_skill_stands_for_a_workflow_of_one_step(home):
    catalogue = Catalogue([home])
    by_name, by_path = catalogue.workflow("sort"), catalogue.workflow(home / "skills/sort.yaml")
    assert [step.skill for step in by_name.steps] == ["sort"]
    assert [skill.name for skill in by_path.skills] == ["sort"]


def test_a_workflow_may_name_a_skill_by_its_path(tmp_path):
    write(tmp_path, "elsewhere/sort.yaml", SKILL)
    file = write(tmp_path, "flow.yaml", "name: flow\nsteps: [{name: a, skill: elsewhere/sort.yaml}]\n")
    catalogue = Catalogue()
    workflow = catalogue.workflow(file)
    assert workflow.steps[0].skill == "sort"
    assert catalogue.parts(workflow).skills["sort"].instructions == "Sort it."


def test_a_file_of_another_kind_is_refused():
    (sentence,) = told(lambda: Catalogue().workflow(BUILT_IN / "tiers/local.yaml"), home=BUILT_IN)
    assert sentence == (
        "tiers/local.yaml:1: expected a workflow file, got a profile file; there are a job file (`workflow:` or "
        "`goal:`), a skill (`instructions:`), a workflow (`steps:`), a profile (`tiers:`) or a tool (`kind:`)"
    )


def test_the_parts_of_a_workflow_are_the_skills_and_tools_it_uses(home):
    write(home, "tools/papers.yaml", "kind: search\noptions: {folder: papers}\n")
    write(home, "skills/find.yaml", SKILL.replace("name: sort", "name: find\ntools: [papers]"))
    file = write(home, "workflows/w.yaml", "steps: [{name: a, skill: find}, {name: b, kind: tool, tool: dates}]\n")
    catalogue = Catalogue([home])
    parts = catalogue.parts(catalogue.workflow(file.stem))
    assert (sorted(parts.skills), sorted(parts.tools)) == (["find"], ["dates", "papers"])


BAD_SKILLS = {
    "output is no JSON Schema": (
        SKILL.replace("type: object\n  prop", "type: objekt\n  prop"),
        [
            "bad.yaml:5: output.type: expected a type of JSON (array, boolean, integer, null, number, object and "
            "string), got 'objekt'; did you mean 'object'?"
        ],
    ),
    "output breaks the rules of JSON Schema": (
        SKILL.replace("required: [label]", "required: label"),
        ['bad.yaml:9: output.required: no valid JSON Schema: expected array, got string "label"'],
    ),
    "output fetches from the network": (
        "instructions: x\ninput: {text: {}}\noutput:\n  $ref: https://example.org/s.json\n",
        [
            "bad.yaml:4: output.$ref: expected a reference within the schema (`#/...`), got "
            "'https://example.org/s.json'; it is not there, and nothing is fetched"
        ],
    ),
    "check of a field that is not there": (
        SKILL + "checks:\n  - {kind: no_refusal, field: lable}\n",
        ["bad.yaml:11: checks[0].field: the output has no field 'lable'; did you mean 'label'?"],
    ),
    "check of a field within a list": (
        SKILL + "checks:\n  - {kind: no_refusal, field: parts.qoute}\n",
        ["bad.yaml:11: checks[0].field: the output has no field 'qoute'; did you mean 'quote'?"],
    ),
    "check of a field within a text": (
        SKILL + "checks:\n  - {kind: no_refusal, field: parts.0.quote.x}\n",
        ["bad.yaml:11: checks[0].field: the output is a string here and has no field 'x'"],
    ),
    "signal of a field that is not there": (
        SKILL + "confidence:\n  - {kind: margin, field: zzz}\n",
        ["bad.yaml:11: confidence[0].field: the output has no field 'zzz'; it has label and parts"],
    ),
    "signal without its function": (
        SKILL + "confidence:\n  - {kind: function}\n",
        ["bad.yaml:11: confidence[0]: a signal of kind `function` needs its `path:`, such as module:function"],
    ),
    "pattern is no regular expression": (
        SKILL + "checks:\n  - {kind: regex, pattern: '('}\n",
        [
            "bad.yaml:11: checks[0].pattern: expected a regular expression, got '(': "
            "missing ), unterminated subpattern at position 0"
        ],
    ),
    "source that is no input": (
        SKILL + "checks:\n  - {kind: grounded, source: txt}\n",
        ["bad.yaml:11: checks[0].source: the skill has no input field 'txt'; did you mean 'text'?"],
    ),
    "example whose output breaks the schema": (
        SKILL + "examples:\n  - input: {text: a}\n    output: {label: c}\n",
        ["bad.yaml:12: examples[0].output.label: does not fit the skill's output schema: expected one of a, b, got c"],
    ),
    "example without a required input": (
        SKILL + "examples:\n  - {input: {}, output: {label: a}}\n",
        ["bad.yaml:11: examples[0].input: lacks the input field text"],
    ),
    "tool that does not exist": (
        SKILL + "tools: [serch]\n",
        ["bad.yaml:10: tools[0]: no tool is called 'serch'; there is none"],
    ),
}


@pytest.mark.parametrize(("text", "sentences"), BAD_SKILLS.values(), ids=BAD_SKILLS)
def test_a_skill_that_contradicts_itself_is_told_where(text, sentences, tmp_path):
    file = write(tmp_path, "bad.yaml", text)
    assert told(lambda: Catalogue().skill(file), home=tmp_path) == sentences


FINE_FIELDS = {
    "list looked through": "parts.quote",
    "list by position": "parts.0.quote",
    "whole list": "parts",
}


@pytest.mark.parametrize("field", FINE_FIELDS.values(), ids=FINE_FIELDS)
def test_a_field_that_the_schema_has_is_accepted(field, tmp_path):
    file = write(tmp_path, "fine.yaml", SKILL + f"checks:\n  - {{kind: no_refusal, field: {field}}}\n")
    assert Catalogue().skill(file).checks[0].field == field


def test_a_field_is_not_refused_where_the_schema_leaves_it_open(tmp_path):
    schema = "output: {anyOf: [{type: object}]}\nchecks: [{kind: no_refusal, field: whatever}]\n"
    file = write(tmp_path, "open.yaml", f"instructions: x\ninput: {{text: {{}}}}\n{schema}")
    assert Catalogue().skill(file).name == "open"


BAD_WORKFLOWS = {
    "skill that does not exist": (
        "steps:\n  - {name: a, skill: srot}\n",
        [
            "bad.yaml:2: steps[0].skill: no skill is called 'srot'; did you mean 'sort'? "
            "There are: sort, summarize and synthesize"
        ],
    ),
    "tool that does not exist": (
        "steps:\n  - {name: a, kind: tool, tool: x}\n",
        ["bad.yaml:2: steps[0].tool: no tool is called 'x'; there is none"],
    ),
    "step without a skill": (
        "steps:\n  - {name: a}\n",
        ["bad.yaml:2: steps[0]: step 'a' of kind `skill` names no skill; add `skill:`"],
    ),
    "tool step without a tool": (
        "steps:\n  - {name: a, kind: tool}\n",
        ["bad.yaml:2: steps[0]: step 'a' of kind `tool` names no tool; add `tool:`"],
    ),
    "tool on a skill step": (
        "steps:\n  - {name: a, skill: sort, tool: dates}\n",
        ["bad.yaml:2: steps[0].tool: only a step of kind `tool` has one; this one is of kind `skill`"],
    ),
    "two steps of one name": (
        "steps:\n  - {name: a, skill: sort}\n  - {name: a, skill: sort}\n",
        ["bad.yaml:3: steps[1].name: two steps are called 'a'; rename one"],
    ),
    "step called item": (
        "steps:\n  - {name: item, skill: sort}\n",
        ["bad.yaml:2: steps[0].name: 'item' always means the input; rename the step"],
    ),
    "after a step that is not there": (
        "steps:\n  - name: first\n    skill: sort\n  - name: b\n    skill: sort\n    after: [frist]\n",
        ["bad.yaml:6: steps[1].after[0]: no step is called 'frist'; did you mean 'first'?"],
    ),
    "review of a step that is not there": (
        "steps:\n  - {name: a, skill: sort}\n  - {name: b, kind: checkpoint, reviews: x}\n",
        ["bad.yaml:3: steps[1].reviews: no step is called 'x'; there are a and b"],
    ),
    "reference to a step that is not there": (
        "steps:\n  - {name: a, skill: sort, inputs: {text: itm.text}}\n",
        [
            "bad.yaml:2: steps[0].inputs.text: no step is called 'itm'; there are a; "
            "the input is `item`, a literal begins with ="
        ],
    ),
    "reference to a field that is not there": (
        "steps:\n  - {name: a, skill: sort}\n  - {name: b, skill: sort, inputs: {text: a.lable}}\n",
        ["bad.yaml:3: steps[1].inputs.text: the output of step 'a' has no field 'lable'; did you mean 'label'?"],
    ),
    "input that the skill lacks": (
        "steps:\n  - {name: a, skill: sort, inputs: {txt: item.text}}\n",
        ["bad.yaml:2: steps[0].inputs.txt: skill 'sort' has no input field 'txt'; did you mean 'text'?"],
    ),
    "condition on a field that is not there": (
        "steps:\n  - {name: a, skill: sort}\n  - {name: b, skill: sort, when: a.lbl == 'a'}\n",
        ["bad.yaml:3: steps[1].when: the output of step 'a' has no field 'lbl'; did you mean 'label'?"],
    ),
    "condition on a name that is not there": (
        "steps:\n  - {name: a, skill: sort, when: len(x) > 3}\n",
        ["bad.yaml:2: steps[0].when: no step is called 'x'; there are a; the input is `item`, a literal begins with ="],
    ),
    "condition that is no expression": (
        "steps:\n  - {name: a, skill: sort, when: item.x ==}\n",
        ["bad.yaml:2: steps[0].when: expected a condition such as `classify.label == 'simple'`, got 'item.x =='"],
    ),
    "output of a step that is not there": (
        "steps:\n  - {name: a, skill: sort}\noutput: b\n",
        ["bad.yaml:3: output: no step is called 'b'; there are a"],
    ),
    "output of a field that is not there": (
        "steps:\n  - {name: a, skill: sort}\noutput:\n  x: a.label\n  y: a.zzz\n",
        ["bad.yaml:5: output.y: the output of step 'a' has no field 'zzz'; it has label and parts"],
    ),
    "circle through after, inputs and when": (
        "steps:\n  - {name: a, skill: sort, after: [c]}\n  - {name: b, skill: sort, inputs: {text: a.label}}\n"
        "  - {name: c, skill: sort, when: b.label == 'a'}\n",
        ["bad.yaml:{line}: steps[{n}]: steps wait for each other in a circle: {circle}"],
    ),
    "circle of one": (
        "steps:\n  - {name: a, skill: sort, after: [a]}\n",
        ["bad.yaml:2: steps[0]: steps wait for each other in a circle: a -> a"],
    ),
    "flaw of a skill of its own": (
        "steps: [{name: a, skill: own}]\nskills:\n  - name: own\n    instructions: x\n    input: {text: {}}\n"
        "    output: {type: strin}\n",
        [
            "bad.yaml:6: skills[0].output.type: expected a type of JSON (array, boolean, integer, null, number, object "
            "and string), got 'strin'; did you mean 'string'?"
        ],
    ),
}


@pytest.mark.parametrize(("text", "sentences"), BAD_WORKFLOWS.values(), ids=BAD_WORKFLOWS)
def test_a_workflow_that_points_nowhere_is_told_where(text, sentences, home):
    file = write(home, "bad.yaml", text)
    lines = told(lambda: Catalogue([home]).workflow(file), home=home)
    if "{circle}" in sentences[0]:
        assert lines == ["bad.yaml:2: steps[0]: steps wait for each other in a circle: a -> c -> b -> a"]
    else:
        assert lines == sentences


def test_conditions_may_call_functions_methods_and_comprehensions(home):
    text = """\
        steps:
          - {name: a, skill: sort}
          - {name: b, skill: sort, when: "len(a.parts) > 1 and a.label.upper() == 'A' and any([p for p in a.parts])"}
        """
    file = write(home, "fine.yaml", text)
    assert Catalogue([home]).workflow(file).steps[1].when


def test_a_simulators_script_stands_beside_its_profile(tmp_path):
    text = """\
        tiers: [{name: cheap, models: [{name: openai/x, api_base: "service:s"}]}]
        services: [{name: s, kind: simulator, source: script.yaml}]
        """
    file = write(tmp_path, "mine.yaml", text)
    assert Catalogue().profile(file).services[0].source == str(tmp_path / "script.yaml")


BAD_PROFILES = {
    "tier without models": (
        "tiers:\n  - {name: cheap}\n",
        ["bad.yaml:2: tiers[0]: tier 'cheap' names no models; list at least one under `models:`"],
    ),
    "service that is not there": (
        "tiers: [{name: a, models: [{name: m, api_base: 'service:x'}]}]\n",
        ["bad.yaml:1: model 'm' points at service 'x', but `services:` has no services"],
    ),
    "tools only": (
        "tiers: [{name: a, kind: tools}]\n",
        ["bad.yaml:1: expected at least one tier that models answer on, got tiers of kind `tools` only"],
    ),
    "two tiers of one name": (
        "tiers: [{name: a, models: [{name: m}]}, {name: a, models: [{name: m}]}]\n",
        ["bad.yaml:1: tier names must differ; twice: a"],
    ),
    "negative price": (
        "tiers:\n  - name: a\n    models:\n      - {name: m, price: {input: -1}}\n",
        ["bad.yaml:4: tiers[0].models[0].price.input: expected at least 0, got -1"],
    ),
    "service without a model": (
        "tiers: [{name: a, models: [{name: m}]}]\nservices:\n  - {name: s, kind: llama}\n",
        ["bad.yaml:3: services[0]: service 's' names no model; add `source:` with its name or a GGUF file's path"],
    ),
}


@pytest.mark.parametrize(("text", "sentences"), BAD_PROFILES.values(), ids=BAD_PROFILES)
def test_a_profile_that_cannot_work_is_told_where(text, sentences, tmp_path):
    file = write(tmp_path, "bad.yaml", text)
    assert told(lambda: Catalogue().profile(file), home=tmp_path) == sentences


def test_check_counts_every_kind_and_tells_every_problem_of_a_folder(home):
    write(home, "workflows/flow.yaml", WORKFLOW)
    write(home, "workflows/worse.yaml", "steps: [{name: a, skill: nope}]\n")
    write(home, "tiers/mine.yaml", "tiers: []\n")
    write(home, "job.yaml", "workflow: flow\nprofile: local\n")
    write(home, "other/data.yaml", "- not ours\n")
    report = check_path(home)
    assert report.counts == {
        FileKind.SKILL: 1, FileKind.WORKFLOW: 2, FileKind.PROFILE: 1, FileKind.TOOL: 0, FileKind.JOB: 1,
    }  # fmt: skip
    assert sorted(Path(problem.file).name for problem in report.problems) == ["mine.yaml", "worse.yaml"]
    assert report.summary == "1 skill, 2 workflows, 1 profile and 1 job: 2 problems"


def test_check_imports_the_functions_that_a_skill_names(home):
    write(home, "functions/rules.py", "def fine(answer, item):\n    return True\n")
    checks = "checks:\n  - {kind: function, path: 'rules:fine'}\n  - {kind: function, path: 'rules:gone'}\n"
    write(home, "skills/sort.yaml", SKILL + checks)
    (problem,) = check_path(home).problems
    assert problem.line == 12
    assert problem.text.startswith("checks[1].path: rules:gone: ")


def test_check_tells_what_a_file_of_unknown_kind_holds(tmp_path):
    file = write(tmp_path, "x.yaml", "colour: red\n")
    (problem,) = check_path(file).problems
    assert problem.text.endswith("or a tool (`kind:`), got the fields `colour:`")


def test_check_refuses_a_path_that_is_not_there(tmp_path):
    assert told(lambda: check_path(tmp_path / "no"), home=tmp_path) == [
        "expected a file or folder to check, got 'no', which does not exist"
    ]
