"""The simulator's script and what is played from it, without HTTP."""

import json
from pathlib import Path
from random import Random

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.schemas.errors import UserError
from firstline.workers.providers.recording import Recording, messages_key
from firstline.workers.providers.structured_output import instruct
from firstline.workers.simulator.buckets import Limiter
from firstline.workers.simulator.engine import Engine
from firstline.workers.simulator.fabricate import fabricate
from firstline.workers.simulator.latency import LogNormal
from firstline.workers.simulator.prefixes import PrefixCache
from firstline.workers.simulator.recordings import Recordings, load_recordings
from firstline.workers.simulator.script import Fault, FaultKind, RateLimits, load_script, parse_script
from firstline.workers.simulator.tokens import pieces

SCHEMA = {"type": "object", "properties": {"intent": {"enum": ["a", "b", "c"]}}, "required": ["intent"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "expected a mapping", id="empty"),
        pytest.param("seed: 1", "nothing to answer with", id="nothing to play"),
        pytest.param("models: {a: {latencyy: 1}}", "models.a.latencyy", id="typo"),
        pytest.param("models: {a: {answer: sing}}", "models.a.answer.kind", id="unknown answer"),
        pytest.param("models: {a: {answer: fixed}}", "needs its `text`", id="fixed without text"),
        pytest.param("models: {a: {faults: [{kind: flood}]}}", "models.a.faults.0.kind", id="unknown fault"),
        pytest.param("models: {a: {faults: [{kind: hang, probability: 2}]}}", "got 2", id="probability above one"),
        pytest.param("models: {a: {latency: {kind: uniform, low: 2, high: 1}}}", "low <= high", id="bounds swapped"),
        pytest.param(
            "models: {a: {latency: {kind: lognormal, median: 2, p99: 1}}}", "p99 >= median", id="p99 below median"
        ),
        pytest.param("a: [", "not valid YAML", id="no YAML"),
    ],
)
def test_a_wrong_script_is_a_sentence_that_names_the_field(text, said):
    with pytest.raises(UserError, match="script: ") as caught:
        parse_script(text)
    assert said in str(caught.value)


def test_the_documented_script_is_valid():
    page = (Path(__file__).parents[4] / "docs" / "simulator.md").read_text(encoding="utf-8")
    script = parse_script(page.partition("```yaml\n")[2].partition("```")[0])
    assert set(script.models) == {"cheap", "*"}
    assert all(f"`{kind}`" in page for kind in FaultKind)


def test_files_of_a_script_are_looked_up_beside_it(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("recordings: answers.jsonl")
    assert load_script(path).recordings == (str(tmp_path / "answers.jsonl"),)
    with pytest.raises(UserError, match=r"answers\.jsonl: no such file"):
        Engine(load_script(path))


def test_a_wrong_line_of_a_recording_is_named(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"contains": "x", "text": "y"}\n{"text": "y"}\n')
    with pytest.raises(UserError, match=r"answers\.jsonl:2: line: .*`key`.*`contains`"):
        load_recordings([str(path)])


def chat(text, model="m", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def asking_for(schema=SCHEMA):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def said(outcome):
    return outcome.body["choices"][0]["message"]["content"]


def play(text):
    return Engine(parse_script(text))


def test_answers_from_the_schema_are_valid_and_the_same_for_every_run():
    first, second = (play("models: {m: {}}") for _ in range(2))
    for n in range(20):
        answer = said(first.answer(chat(f"q{n}", **asking_for())))
        jsonschema.validate(json.loads(answer), SCHEMA)
        assert answer == said(second.answer(chat(f"q{n}", **asking_for())))


def test_the_schema_is_found_in_the_prompt_as_well():
    body = chat("q") | {"messages": list(instruct([{"role": "user", "content": "q"}], SCHEMA))}
    jsonschema.validate(json.loads(said(play("models: {m: {}}").answer(body))), SCHEMA)


def test_luck_does_not_depend_on_the_order_of_requests():
    script = "models: {m: {answer: {kind: from_schema, accuracy: 0.5}}}"
    forwards, backwards = play(script), play(script)
    one = {n: said(forwards.answer(chat(f"q{n}", **asking_for()))) for n in range(30)}
    other = {n: said(backwards.answer(chat(f"q{n}", **asking_for()))) for n in reversed(range(30))}
    assert one == other


def test_accuracy_is_the_share_of_right_answers_and_all_models_agree_on_what_is_right():
    engine = play("models: {weak: {answer: {kind: from_schema, accuracy: 0.7}}, strong: {}}")
    asked = [chat(f"q{n}", **asking_for()) for n in range(400)]
    right = sum(
        said(engine.answer(body | {"model": "weak"})) == said(engine.answer(body | {"model": "strong"}))
        for body in asked
    )
    assert 240 <= right <= 320


def test_right_answers_are_surer_than_wrong_ones():
    engine = play("models: {weak: {answer: {kind: from_schema, accuracy: 0.5}}, strong: {}}")
    level = {True: [], False: []}
    for n in range(100):
        body = chat(f"q{n}", logprobs=True, top_logprobs=3, **asking_for())
        outcome = engine.answer(body | {"model": "weak"})
        tokens = outcome.body["choices"][0]["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == said(outcome)
        assert all(len(token["top_logprobs"]) <= 3 for token in tokens)
        right = said(outcome) == said(engine.answer(body | {"model": "strong"}))
        level[right].append(min(token["logprob"] for token in tokens))
    assert sum(level[True]) / len(level[True]) > sum(level[False]) / len(level[False])


def test_the_truth_file_says_what_is_right(tmp_path):
    (tmp_path / "truth.jsonl").write_text('{"contains": "my lost card", "text": "card"}\n')
    (tmp_path / "s.yaml").write_text("truth: truth.jsonl\nmodels: {m: {answer: truth}}")
    schema = {"type": "object", "properties": {"answer": {"enum": ["card", "refund"]}}, "required": ["answer"]}
    outcome = Engine(load_script(tmp_path / "s.yaml")).answer(
        chat("It is about my lost card again", **asking_for(schema))
    )
    assert json.loads(said(outcome)) == {"answer": "card"}


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        pytest.param({"first": 2}, [1, 2], id="first"),
        pytest.param({"every": 3}, [3, 6], id="every"),
        pytest.param({"first": 3, "every": 3}, [3], id="both"),
        pytest.param({}, [1, 2, 3, 4, 5, 6, 7], id="always"),
        pytest.param({"probability": 0}, [], id="never"),
    ],
)
def test_a_fault_strikes_when_the_script_says(fault, struck):
    rule = parse_script(json.dumps({"models": {"m": {"faults": [{"kind": "server_error", **fault}]}}}))
    engine = Engine(rule)
    assert [n for n in range(1, 8) if engine.answer(chat(f"q{n}")).status == 500] == struck


def test_a_fault_with_a_probability_strikes_that_share():
    engine = play("models: {m: {faults: [{kind: server_error, probability: 0.2}]}}")
    assert 60 <= sum(engine.answer(chat(f"q{n}")).status == 500 for n in range(400)) <= 100


def test_a_prompt_beyond_the_context_is_refused():
    outcome = play("models: {m: {context_tokens: 10}}").answer(chat("x" * 100))
    assert (outcome.status, outcome.body["error"]["code"]) == (400, "context_length_exceeded")


def test_an_answer_beyond_the_maximum_is_cut():
    outcome = play("models: {m: {answer: {kind: fixed, text: aaaabbbbcccc}}}").answer(chat("q", max_tokens=2))
    assert said(outcome) == "aaaabbbb"
    assert outcome.body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(("steady", "most"), [(True, 1), (False, 3)], ids=["steady", "each time by new luck"])
def test_the_same_request_gets_the_same_answer_where_the_script_is_steady(steady, most):
    engine = play(f"steady: {str(steady).lower()}\nmodels: {{m: {{answer: {{kind: from_schema, accuracy: 0.5}}}}}}")
    told = {said(engine.answer(chat("hello", **asking_for()))) for _ in range(20)}
    assert len(told) <= most
    assert (len(told) == 1) is steady


def test_a_repeated_prefix_is_cached():
    engine = play("models: {m: {answer: echo}}")
    static = {"role": "system", "content": "s" * 8000}
    bodies = [{"model": "m", "messages": [static, {"role": "user", "content": f"q{n}"}]} for n in range(2)]
    cached = [engine.answer(body).paid.cached_tokens for body in bodies]
    assert cached[0] == 0
    assert 1024 <= cached[1] <= 2000


@given(st.lists(st.text(min_size=1, max_size=3000), min_size=1, max_size=5))
def test_no_more_tokens_are_cached_than_were_sent(prompts):
    cache = PrefixCache(blocks=4)
    for prompt in prompts:
        assert cache.cached_tokens("m", prompt, at_least=1) * 4 <= len(prompt)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_limit_per_minute_refills_steadily():
    clock = Clock()
    limiter = Limiter(RateLimits(requests_per_minute=60, burst=0.05), clock)
    assert [limiter.take(1) for _ in range(3)] == [0, 0, 0]
    assert limiter.take(1) == pytest.approx(1.0)
    clock.now += 1.0
    assert limiter.take(1) == 0


def test_a_refused_request_takes_nothing_from_either_bucket():
    limiter = Limiter(RateLimits(requests_per_minute=10, tokens_per_minute=100), Clock())
    assert limiter.take(90) == 0
    assert limiter.take(50) == pytest.approx(24.0)
    assert limiter.headers()["x-ratelimit-remaining-requests"] == "9"
    assert limiter.take(10) == 0


def test_recordings_are_found_by_hash_of_the_messages_under_any_provider():
    messages = [{"role": "user", "content": "q"}]
    kept = Recordings([Recording(model="anthropic/x", key=messages_key(messages), text="hash")])
    assert kept.find("x", messages_key(messages), "q").text == "hash"
    assert kept.find("y", messages_key(messages), "q") is None


def test_the_longest_piece_that_the_prompt_contains_wins():
    kept = Recordings(
        [Recording(contains=piece, text=piece) for piece in ("ducks lay eggs", "ducks lay eggs daily for sale", "q")]
    )
    assert kept.find("m", "-", "Janet's ducks lay eggs daily for sale.").text == "ducks lay eggs daily for sale"
    assert kept.find("m", "-", "her ducks lay eggs").text == "ducks lay eggs"
    assert kept.find("m", "-", "nothing of this") is None


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=8), st.text(max_size=20), st.text(max_size=20))
def test_a_piece_is_found_wherever_it_stands(texts, before, after):
    kept = Recordings([Recording(contains=text, text=text) for text in texts])
    for text in texts:
        found = kept.find("m", "-", before + text + after)
        assert found is not None
        assert len(found.text) >= len(text)


def test_an_item_is_found_behind_what_a_retry_says_of_the_last_answer():
    kept = Recordings([Recording(contains=piece, text=piece) for piece in ("ducks lay eggs", "hens lay more")])
    assert kept.find("m", "-", "The last answer was not accepted", "her ducks lay eggs").text == "ducks lay eggs"
    assert kept.find("m", "-", "ducks lay eggs", "hens lay more than others").text == "ducks lay eggs"


def test_answers_to_one_prompt_are_given_in_turn_and_the_last_one_for_ever():
    kept = Recordings([Recording(key="k", text=text) for text in "ab"])
    assert [kept.find("m", "k", "").text for _ in range(4)] == ["a", "b", "b", "b"]


SCHEMAS = [
    SCHEMA,
    {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 5}, "minItems": 2, "maxItems": 4},
    {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"$ref": "#/$defs/b"}},
        "required": ["a", "b"],
        "$defs": {"b": {"type": "object", "properties": {"c": {"type": "boolean"}}, "required": ["c"]}},
    },
    {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}$"},
    {"type": "string", "minLength": 30, "maxLength": 40},
    {"type": "string", "maxLength": 3},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "integer", "multipleOf": 7, "minimum": 10},
    {"anyOf": [{"type": "integer"}, {"const": "none"}]},
    {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"b": {"type": "string"}}}]},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
@given(seed=st.integers(0, 10_000))
def test_made_up_values_satisfy_their_schema(schema, seed):
    jsonschema.validate(fabricate(schema, Random(seed)), schema)


@given(st.text())
def test_pieces_add_up_to_the_text(text):
    assert "".join(pieces(text)) == text


def test_a_log_normal_latency_has_its_median_and_its_tail():
    random = Random(1)
    drawn = sorted(LogNormal(kind="lognormal", median=1, p99=8).draw(random) for _ in range(10_000))
    assert drawn[5000] == pytest.approx(1, rel=0.1)
    assert drawn[9900] == pytest.approx(8, rel=0.25)


def test_a_fault_knows_its_calls():
    assert not Fault(kind="hang", first=1).may_strike(2)
