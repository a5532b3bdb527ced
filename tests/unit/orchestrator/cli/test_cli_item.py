"""One item's story in the terminal: why it cost that, why it climbed, prompt, answers, checks."""

import json

import pytest

from firstline.orchestrator import api, cli
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import AttemptRow
from firstline.schemas.check import CheckResult
from tests.unit.web_house import build_house


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job whose only item climbed from the cheap tier to the top one."""
    house = build_house(tmp_path, monkeypatch)
    job = house.submit(1)
    common = {"job": job, "item": 0, "started_at": now(), "latency_s": 0.5, "skill": "sort"}
    failed = [CheckResult(check="schema", reason="label: expected one of a, b, c").model_dump(mode="json")]
    cheap = AttemptRow(
        **common, step="first", n=0, tier="cheap", model="openai/small", cost_usd=0.001, text='{"label": "z"}',
        error="off_schema", checks=failed, verdict="escalate", reason="2 attempts failed the schema",
    )  # fmt: skip
    top = AttemptRow(
        **common, step="first", n=1, tier="frontier", model="openai/big", cost_usd=0.02, text='{"label": "b"}',
        value={"label": "b"}, verdict="accept", reason="passed its checks",
    )  # fmt: skip
    with api.engine().db.writing() as tx:
        for row in (cheap, top):
            tx.execute(AttemptRow.__table__.insert().values(**row.model_dump()))
        tx.exec_driver_sql("update item set cost_usd = 0.021, attempts = 2")
    return job


@pytest.mark.parametrize("name", ["i0", "#1"])
def test_an_items_story_says_what_was_asked_why_it_climbed_and_what_each_call_cost(job, capsys, name):
    assert cli.main(["item", job, name]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for part in (
        f"i0 of job {job}",
        "prompt of step first",
        "Say what the text is about.",
        "text 0",
        "openai/small (answer, cheap)",
        "check schema: label: expected one of a, b, c",
        "verdict: escalate: 2 attempts failed the schema",
        "verdict: accept: passed its checks",
        "cheap: 1 call, $0.0010; frontier: 1 call, $0.0200",
    ):
        assert part in out


@pytest.mark.parametrize(("label", "said"), [("b", "right: the truth is b"), ("a", "wrong: the truth is b")])
def test_a_result_is_held_against_the_truth_that_its_input_carries(tmp_path, monkeypatch, capsys, label, said):
    house = build_house(tmp_path, monkeypatch)
    workflow = {"name": "w", "steps": [{"name": "s", "skill": "sort"}], "quality": {"gold": "truth", "field": "label"}}
    body = {"workflow": workflow, "items": [{"id": "i0", "text": "t", "truth": "b"}]}
    job = house.client().post("/v1/jobs", json=body).json()["job"]
    assert cli.main(["item", job, "i0"]) == 0
    assert "the truth is" not in capsys.readouterr().out, "nothing has been answered yet"
    with api.engine().db.writing() as tx:
        tx.exec_driver_sql("update item set state = 'settled', output = ?", (json.dumps({"label": label}),))
    assert cli.main(["item", job, "i0"]) == 0
    assert said in capsys.readouterr().out
    page = house.client().get(f"/jobs/{job}/items/0").text
    assert said in page


def test_the_page_shows_the_prompt_that_was_sent(job, tmp_path):
    from fastapi.testclient import TestClient

    from firstline.config.settings import get_settings
    from firstline.orchestrator.web.app import make_app

    page = TestClient(make_app(get_settings(), loopback=True)).get(f"/jobs/{job}/items/0").text
    assert "The prompt that was sent" in page
    assert "Say what the text is about." in page


def test_an_item_that_is_not_there_is_told(job, capsys):
    for name in ("nope", "#2", "#x", "#0"):
        assert cli.main(["item", job, name]) == 2
        assert f"job {job} has no item '{name}'" in capsys.readouterr().err
    assert cli.main(["item", "1129-00000000", "i0"]) == 2
    assert "there is no job" in capsys.readouterr().err
    assert cli.main(["item", job, "i0", "--json"]) == 0
    assert [one["tier"] for one in json.loads(capsys.readouterr().out)["attempts"]] == ["cheap", "frontier"]


def test_failures_of_a_skill_that_nobody_knows_are_an_error(job, capsys):
    assert cli.main(["failures", "--skill", "sotr"]) == 2
    assert "no skill is called 'sotr'; did you mean 'sort'?" in capsys.readouterr().err
    assert cli.main(["failures", "--skill", "summarize"]) == 0
    assert "no answer was rejected" in capsys.readouterr().out


def test_what_was_set_aside_was_not_paused_by_a_person(job):
    from firstline.orchestrator.run.embedded import set_aside

    set_aside(but=None)
    assert api.status(job).reason == f"its run ended before it did; go on: firstline resume {job}"
    assert not api.pause(job)
    api.resume(job)
    assert api.pause(job)
    assert api.status(job).reason == "paused by a person"


def test_a_token_made_without_a_word_may_only_look(job, capsys):
    assert cli.main(["token", "create", "ada", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["role"] == "viewer"
