"""What a better prompt is measured on holds failures too, none of which it was shown."""

from datetime import UTC, datetime

from firstline.orchestrator.experiments.evaluation import evaluation
from firstline.orchestrator.experiments.improve import learnt_from
from firstline.orchestrator.experiments.sampling import hold_out, item_key
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.failure import Failure


def failure(n: int) -> Failure:
    return Failure.model_construct(item_id=str(n), input={"id": str(n), "text": f"failed {n}"}, at=datetime.now(UTC))


def test_about_half_of_the_failures_are_learnt_from_and_the_others_may_be_measured_on():
    failures = [failure(n) for n in range(50)]
    learnt = learnt_from(failures)
    assert 15 < len(learnt) < 35
    items = [InputItem(one.item_id, one.input) for one in failures]
    drawn = hold_out(items, 50, seed=0, learnt=[one.input for one in learnt], failed=[one.input for one in failures])
    assert (len(drawn.failed), drawn.others, drawn.failed_share) == (50 - len(learnt), (), 1.0)
    assert not {item_key(one.input) for one in drawn.items} & {item_key(one.input) for one in learnt}


def test_half_of_what_is_measured_on_had_failed_however_few_of_all_items_did():
    failures = [failure(n) for n in range(50)]
    fine = [InputItem(f"ok{n}", {"text": f"fine {n}"}) for n in range(450)]
    items = [*(InputItem(one.item_id, one.input) for one in failures), *fine]
    learnt = [one.input for one in learnt_from(failures)]
    drawn = hold_out(items, 40, seed=3, learnt=learnt, failed=[one.input for one in failures])
    assert (len(drawn.failed), len(drawn.others), drawn.failed_share) == (20, 20, 0.1)
    assert drawn == hold_out(items, 40, seed=3, learnt=learnt, failed=[one.input for one in failures])


def test_a_version_that_mends_every_failure_shows_as_better_and_one_that_breaks_others_does_not():
    mended, kept, broken = [(False, True)] * 25, [(True, True)] * 25, [(True, False)] * 5 + [(True, True)] * 20
    ask = {"failed_share": 0.1, "model": "small", "against": "gold"}
    better = evaluation(mended, kept, Truth(), **ask)
    assert better.said.startswith("better: +10.0 points")
    assert better.said.endswith("of 25 held-out failures it mends 25")
    assert evaluation(mended, broken, Truth(), **ask).difference.estimate < 0


def test_a_lone_failure_is_learnt_from():
    assert len(learnt_from([failure(1)])) == 1
