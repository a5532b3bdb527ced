"""A configuration file is refused with its line, its field, what was expected, what came and how to mend it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstline.config.catalogue.yaml_file import MAX_BYTES, parse_yaml, read_yaml
from firstline.config.errors.error_messages import ConfigError
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

FILE = Path("f.yaml")

SKILL = """\
name: x
instructions: Say yes.
input: {text: {}}
output: {type: string}
"""


def told(text, model=Skill):
    """Return what the user is told, a line each."""
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(UserError) as caught:
        parse_yaml(raw, FILE).parse(model)
    return str(caught.value).splitlines()


UNREADABLE = {
    "empty file": ("", "f.yaml:1: expected a mapping of fields, got an empty file"),
    "comments only": ("# nothing\n", "f.yaml:1: expected a mapping of fields, got an empty file"),
    "list": ("- a\n", "f.yaml:1: expected a mapping of fields, got a list"),
    "single value": ("\nhello\n", "f.yaml:2: expected a mapping of fields, got a single value"),
    "tab": (
        "a:\n\tb: 1\n",
        "f.yaml:2: expected spaces at the start of the line, got a tab; YAML is indented with spaces",
    ),
    "latin-1": (b"a: 1\nb: caf\xe9\n", "f.yaml:2: expected UTF-8 text, got the byte 0xE9; save the file as UTF-8"),
    "utf-16": ("a: 1".encode("utf-16"), "f.yaml:1: expected UTF-8 text, got the byte 0xFF; save the file as UTF-8"),
    "control characters": ("a: \x00\n", "f.yaml: not YAML: control characters are not allowed"),
    "colon in text": (
        "a: b: c\n",
        "f.yaml:1: not YAML: mapping values are not allowed in this context; put text that holds `: ` in quotes",
    ),
    "open quote": (
        "a: 'x\n",
        "f.yaml:1: not YAML: found unexpected end of stream; a quotation mark or bracket is not closed",
    ),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        "f.yaml:2: not YAML: found another document; a file holds one document, without `---` between parts",
    ),
    "tag": (
        "a: !!python/object:os.system x\n",
        "f.yaml:1: not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object:os.system'; tags (`!name`) have no meaning here",
    ),
    "self-reference": ("a: &x [*x]\n", "f.yaml:1: an alias (*name) stands inside what it names"),
    "deep nesting": ("a: " + "[" * 500, "f.yaml:1: expected at most 60 levels of nesting"),
    "key that is a number": ("a: 1\n2: b\n", "f.yaml:2: expected a text as key, got `2`; put it in quotes"),
    "key that is a list": ("? [a]\n: b\n", "f.yaml:1: expected a text as key, got a list or mapping; put it in quotes"),
    "too large": (
        b"#" * (MAX_BYTES + 1),
        "f.yaml: expected at most 1,000,000 bytes of YAML; data belongs in `input:`",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_mapping_in_yaml_is_refused_in_one_sentence(text, sentence):
    assert told(text) == [sentence]


def test_every_doubled_key_is_named_with_both_lines_wherever_it_stands():
    assert told("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "f.yaml:3: 'a' stands twice, first on line 1; keep one",
        "f.yaml:2: 'c' stands twice, first on line 2; keep one",
    ]


def test_a_billion_laughs_are_counted_before_they_unfold():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9))
    (sentence,) = told(f"l0: &l0 ha\n{levels}\n")
    assert sentence.startswith("f.yaml: expected at most 50,000 values, got ")


def test_aliases_and_merged_keys_keep_their_meaning():
    document = parse_yaml(b"base: &b {k: 1, m: 2}\nuse:\n  <<: *b\n  m: 3\n", FILE)
    assert document.data["use"] == {"k": 1, "m": 3}
    assert document.line(("use", "m")) == 4


INVALID = {
    "typo of a required field is told once": (
        SKILL.replace("instructions", "instrutions"),
        ["f.yaml:2: unknown field 'instrutions'; did you mean 'instructions'?"],
    ),
    "unknown field that resembles none": (
        SKILL.replace("{text: {}}", "{text: {zzz: 1}}"),
        ["f.yaml:3: input.text: unknown field 'zzz'; known here: description, max_chars and required"],
    ),
    "missing field": (
        "name: x\ninstructions: y\ninput: {text: {}}\n",
        ["f.yaml:1: missing field 'output'; add `output:`"],
    ),
    "missing field deep inside": (
        SKILL + "examples:\n  - output: a\n",
        ["f.yaml:6: examples[0]: missing field 'input'; add `input:`"],
    ),
    "empty value": (SKILL + "checks:\n", [
        "f.yaml:5: checks: expected a list, got nothing; write `- ` before each element, or [a, b]"
    ]),
    "number for text": (
        SKILL.replace("Say yes.", "12"),
        ["f.yaml:2: instructions: expected text, got 12; put it in quotes"],
    ),
    "text for a list": (
        SKILL + "tools: search\n",
        ["f.yaml:5: tools: expected a list, got 'search'; write `- ` before each element, or [a, b]"],
    ),
    "word for a number": (SKILL + "pack: ten\n", ["f.yaml:5: pack: expected a whole number, got 'ten'"]),
    "fraction for a whole number": (SKILL + "pack: 1.5\n", ["f.yaml:5: pack: expected a whole number, got 1.5"]),
    "number out of range": (SKILL + "pack: 0\n", ["f.yaml:5: pack: expected at least 1, got 0"]),
    "word outside a choice": (
        SKILL + "reasoning: hgh\n",
        ["f.yaml:5: reasoning: expected 'low', 'medium' or 'high', got 'hgh'; did you mean 'high'?"],
    ),
    "name with capitals": (
        SKILL.replace("name: x", "name: My Skill"),
        [
            "f.yaml:1: name: expected a name of small letters, digits, _ and - that begins with a letter, "
            "got 'My Skill'"
        ],
    ),
    "unknown kind of check": (
        SKILL + "checks:\n  - kind: regexp\n    pattern: a\n",
        [
            "f.yaml:6: checks[0].kind: expected one of one_of, regex, range, length, date, number_as_written, "
            "expression, grounded, citations, language, no_refusal, function and plan, got 'regexp'; "
            "did you mean 'regex'?"
        ],
    ),
    "check without a kind": (
        SKILL + "checks:\n  - pattern: a\n",
        [
            "f.yaml:6: checks[0].kind: missing; expected one of citations, date, expression, function, grounded, "
            "language, length, no_refusal, number_as_written, one_of, plan, range and regex"
        ],
    ),
    "typo within a kind of check": (
        SKILL + "checks:\n  - kind: range\n    mni: 3\n",
        ["f.yaml:7: checks[0]: unknown field 'mni'; did you mean 'min'?"],
    ),
    "rule of our own": (
        SKILL + "examples:\n  - {input: {txt: a}, output: b}\n",
        ["f.yaml:1: example 1 has input fields that the skill lacks: txt"],
    ),
    "everything at once, from the top down": (
        SKILL.replace("name: x", "nam: x").replace("Say yes.", "[]") + "pack: 99\n",
        [
            "f.yaml:1: unknown field 'nam'; did you mean 'name'?",
            "f.yaml:2: instructions: expected text, got an empty list",
            "f.yaml:5: pack: expected at most 50, got 99",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "sentences"), INVALID.values(), ids=INVALID)
def test_every_flaw_is_told_with_its_line_its_field_and_the_cure(text, sentences):
    assert told(text) == sentences


WORKFLOWS = {
    "neither branch of a union": (
        "name: w\nsteps: [{name: a}]\noutput: 3\n",
        ["f.yaml:3: output: expected text or a mapping, got 3"],
    ),
    "one branch of a union, wrong inside": (
        "name: w\nsteps: [{name: a}]\noutput: {k: 3}\n",
        ["f.yaml:3: output.k: expected text, got 3; put it in quotes"],
    ),
    "a list whose every element is wrong is not also too short": (
        "name: w\nsteps:\n  - {name: a, sample: 4}\n",
        ["f.yaml:3: steps[0].sample: expected at most 1, got 4"],
    ),
    "no steps": ("name: w\nsteps: []\n", ["f.yaml:2: steps: expected at least 1 element, got an empty list"]),
}


@pytest.mark.parametrize(("text", "sentences"), WORKFLOWS.values(), ids=WORKFLOWS)
def test_a_union_tells_only_what_concerns_the_branch_that_was_meant(text, sentences):
    assert told(text, Workflow) == sentences


PASTED_KEYS = {
    "as api_key": "api_key: sk-secret",
    "as api_key_env": "api_key_env: sk-secret",
    "as api_key_env of the wrong type": "api_key_env: {k: sk-secret}",
    "in params": "params: {api_key: sk-secret}",
    "in params of the wrong type": "params: sk-secret",
    "in api_base of the wrong type": "api_base: [sk-secret]",
}


@pytest.mark.parametrize("line", PASTED_KEYS.values(), ids=PASTED_KEYS)
def test_a_key_pasted_into_a_profile_is_refused_and_not_repeated(line):
    text = f"name: p\ntiers:\n  - name: cheap\n    models:\n      - name: openai/x\n        {line}\n"
    sentences = told(text, Profile)
    assert sentences
    assert "sk-secret" not in "\n".join(sentences)


def test_yaml_values_are_what_they_look_like():
    document = parse_yaml(
        b"a: no\nb: 12:30\nc: 2026-01-31\nd: 010\ne: true\nf: 1e3\ng: 0x10\nh: ~\ni: .nan\nj: -4\n", FILE
    )
    assert document.data == {
        "a": "no", "b": "12:30", "c": "2026-01-31", "d": 10, "e": True, "f": 1000.0, "g": 16, "h": None,
        "i": ".nan", "j": -4,
    }  # fmt: skip


def test_a_byte_order_mark_and_windows_line_ends_are_accepted():
    document = parse_yaml(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", FILE)
    assert document.data == {"a": 1, "b": 2}
    assert document.line(("b",)) == 2


ABSENT = {
    "missing": (lambda folder: folder / "no.yaml", "expected a file, but there is none"),
    "folder": (lambda folder: folder, "expected a file, got a folder"),
}


@pytest.mark.parametrize(("place", "sentence"), ABSENT.values(), ids=ABSENT)
def test_what_is_no_file_is_refused_in_one_sentence(place, sentence, tmp_path):
    file = place(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file)
    assert str(caught.value) == f"{file}: {sentence}"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_whatever_a_file_holds_it_is_read_or_refused_with_its_name(raw):
    told_lines, keys = _outcome(lambda: parse_yaml(raw, FILE))
    assert all(line.startswith("f.yaml") for line in told_lines)
    assert all(isinstance(key, str) for key in keys)


def _outcome(read):
    """Return the lines that the user is told, and the keys of what was read; any other exception passes."""
    try:
        return [], list(read().data)
    except ConfigError as error:
        return str(error).splitlines(), []


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_name_with_a_line_break_in_it_is_told_on_one_line():
    raw = json.dumps({"input": {"a\x85b\u2028c": 3}}).encode()
    lines, _ = _outcome(lambda: SimpleNamespace(data=parse_yaml(raw, FILE).parse(Skill).input))
    assert "f.yaml:1: input.a b c: expected a mapping, got 3" in lines


@given(
    st.dictionaries(
        st.sampled_from([*Skill.model_fields, "instrutions", "zzz"]), _VALUES | st.just([{"kind": "regex"}]), max_size=8
    )
)
@settings(max_examples=300, deadline=None)
def test_any_mapping_is_a_skill_or_told_flaw_by_flaw(data):
    raw = json.dumps(data).encode()
    lines, _ = _outcome(lambda: SimpleNamespace(data=parse_yaml(raw, FILE).parse(Skill).input))
    assert all(line.startswith("f.yaml:1: ") for line in lines)
