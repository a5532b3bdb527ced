"""What a better prompt is measured on holds failures too, none of which it was shown."""

from datetime import UTC, datetime

from firstline.orchestrator.experiments.improve import learnt_from
from firstline.orchestrator.experiments.sampling import item_key, sample
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.failure import Failure


def failure(n: int) -> Failure:
    return Failure.model_construct(item_id=str(n), input={"id": str(n), "text": f"failed {n}"}, at=datetime.now(UTC))


def test_about_half_of_the_failures_are_learnt_from_and_the_others_may_be_measured_on():
    failures = [failure(n) for n in range(50)]
    learnt = learnt_from(failures)
    assert 15 < len(learnt) < 35
    items = [InputItem(one.item_id, one.input) for one in failures]
    drawn = sample(items, 50, seed=0, but=[one.input for one in learnt])
    assert len(drawn) == 50 - len(learnt)
    assert not {item_key(one.input) for one in drawn} & {item_key(one.input) for one in learnt}


def test_a_lone_failure_is_learnt_from():
    assert len(learnt_from([failure(1)])) == 1
