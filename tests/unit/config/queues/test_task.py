"""What monitors are shown of messages."""

from types import SimpleNamespace

import pytest

from firstline.config.queues.app import make_app
from firstline.config.queues.task import Discreet, LabelledTask
from firstline.config.settings import Settings
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import publish
from firstline.schemas.batch import Todo
from tests.unit.worker_rig import simple, work

SETTINGS = Settings(redis_url="redis://127.0.0.1:9/0", _env_file=None)


@pytest.fixture
def task():
    @make_app(SETTINGS).task(name="t", bind=True, shared=False)
    def one(self, trail: str) -> str:
        return trail

    return one


def test_every_task_of_the_app_shows_labels_only(task) -> None:
    assert isinstance(task, LabelledTask)
    assert task.Request == "firstline.config.queues.task:Discreet"


@pytest.mark.parametrize(("label", "shown"), [("(job=j1)", "(job=j1)"), (None, "(...)")])
def test_a_message_that_is_tried_again_shows_its_label_and_not_what_it_carries(task, label, shown: str) -> None:
    task.push_request(id="x", args=("SECRET",), kwargs={}, argsrepr=label)
    again = task.signature_from_request(countdown=1)
    assert again.args == ("SECRET",)
    assert again.options["argsrepr"] == shown


def test_an_answer_is_in_no_event() -> None:
    sent = []
    eventer = SimpleNamespace(enabled=True, send=lambda kind, **fields: sent.append((kind, fields)))
    message = Discreet.__new__(Discreet)
    message._eventer, message._task, message.id = eventer, SimpleNamespace(send_events=True), "x"
    message.send_event("task-succeeded", result="SECRET", runtime=1.5)
    assert sent == [("task-succeeded", {"uuid": "x", "runtime": 1.5})]


def test_both_messages_of_a_batch_say_job_step_tier_and_attempt() -> None:
    one = simple("SECRET", "SECRET").evolve(
        work=tuple(each.evolve(todo=(Todo(step="s", n=n),)) for n, each in enumerate(work("SECRET", "SECRET"), 1))
    )
    label = "(job=j1 step=s tier=cheap attempt=1-2 batch=b1 subtasks=2)"
    chain = publish.settle(Context(SETTINGS), one, priority=4)
    assert [message.options["argsrepr"] for message in chain.tasks] == [label, label]


def test_messages_for_orchestrators_name_their_ids() -> None:
    message = publish.task(Context(SETTINGS), publish.RELEASE, "j1", 0, 3)
    assert message.options["argsrepr"] == "(job=j1 segment=0 shard=3)"


def test_a_database_error_quotes_no_value(tmp_path) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    from firstline.orchestrator.store.database import Database

    db = Database(f"sqlite:///{tmp_path / 'one.db'}")
    with db.writing() as tx:
        tx.execute(text("CREATE TABLE one (n TEXT PRIMARY KEY)"))
        tx.execute(text("INSERT INTO one VALUES (:n)"), {"n": "SECRET"})
    with pytest.raises(IntegrityError) as raised, db.writing() as tx:
        tx.execute(text("INSERT INTO one VALUES (:n)"), {"n": "SECRET"})
    assert "SECRET" not in str(raised.value)
    db.close()
