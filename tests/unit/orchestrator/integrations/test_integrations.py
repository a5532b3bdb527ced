"""What frameworks call: a server's workflow from afar, and LangChain's view of it."""

from contextlib import contextmanager

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.integrations.remote import Remote, UnansweredError
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.job import ItemResult, ItemState
from tests.unit.web_house import build_house


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A server without workers: jobs wait until somebody cancels them."""
    house = build_house(tmp_path, monkeypatch)

    @contextmanager
    def client(remote):
        yield house.client(remote.token)

    monkeypatch.setattr(Remote, "_client", client)
    return house


def test_a_workflow_says_what_it_does_and_needs(house):
    assert Remote("two-steps").describe() == ("Sorts, then sorts again what is an a.", {"text": ""})


def test_an_unknown_workflow_is_told_with_those_there_are(house):
    with pytest.raises(UserError, match=r"has no workflow or skill 'srot'; it has: .*two-steps"):
        Remote("srot").describe()


def test_a_wrong_token_is_told_as_the_server_tells_it(house):
    house.token()
    with pytest.raises(UserError, match="firstline token create"):
        Remote("sort", token="wrong").ask([{"text": "a"}])


def test_nobody_waits_longer_than_was_asked_and_the_job_is_cancelled(house):
    with pytest.raises(InfrastructureError, match=r"no answer within 0\.2 s, and is cancelled"):
        Remote("sort", timeout_s=0.2).ask([{"text": "a"}])
    assert api.jobs()[0].state == "cancelled"


def test_questions_may_carry_the_same_id(house):
    with pytest.raises(InfrastructureError, match="no answer"):
        Remote("sort", timeout_s=0).ask([{"id": "x", "text": "a"}, {"id": "x", "text": "b"}])
    assert api.jobs()[0].items == 2


def test_a_server_that_is_not_there_is_told_in_a_sentence():
    with pytest.raises(InfrastructureError, match=r"cannot reach Firstline at http://127\.0\.0\.1:9"):
        Remote("sort", url="http://127.0.0.1:9").describe()


def test_a_runnable_batches_as_one_job_and_tells_apart_what_failed(monkeypatch):
    langchain = pytest.importorskip("firstline.orchestrator.integrations.langchain")
    asked = []

    def ask(remote, items):
        asked.append(items)
        return [
            ItemResult(item_id="1", status=ItemState.SETTLED, output=item["text"].upper())
            if item["text"] != "bad"
            else UnansweredError("job j: no model could answer")
            for item in items
        ]

    monkeypatch.setattr(Remote, "ask", ask)
    monkeypatch.setattr(Remote, "describe", lambda remote: ("Shouts.", {"text": "What to shout."}))
    runnable = langchain.FirstlineRunnable("shout")
    assert runnable.invoke("a") == "A"
    assert (runnable | str.lower).invoke({"text": "B"}) == "b"
    asked.clear()
    said = runnable.batch(["a", {"text": "bad"}, "c"], return_exceptions=True)
    assert [said[0], said[2]] == ["A", "C"]
    assert isinstance(said[1], UnansweredError)
    assert len(asked) == 1
    with pytest.raises(UnansweredError, match="no model could answer"):
        runnable.batch(["a", "bad"])
    tool = langchain.firstline_tool("shout")
    assert tool.args["text"]["description"] == "What to shout."
    assert tool.invoke({"text": "a"}) == "A"
    assert tool.invoke({"text": "bad"}) == "job j: no model could answer"
