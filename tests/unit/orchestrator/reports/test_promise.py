"""The first sentences of a report: what is certified for this job, and what is not."""

import pytest

from firstline.orchestrator.reports.promise import sentences
from firstline.schemas.report import Promise, StepPromise


def step(name: str = "sort", **changes: object) -> StepPromise:
    return StepPromise.model_validate({"step": name, "max_loss": 0.05, "delta": 0.1, "certified": 80, **changes})


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param(
            [step(by_reference=20)],
            ["Certified: with 90% confidence, at most 5.0% of all items are accepted wrong where openai/large"],
            id="all of it",
        ),
        pytest.param(
            [step(by_reference=8, uncertified={"openai/b": 12})],
            ["Certified: with 90%", "Not certified: 12.0% of the answers of step sort (12 of 100) came from openai/b"],
            id="a part of it",
        ),
        pytest.param(
            [step(), step("reply", max_loss=None, delta=None, certified=0, uncertified={"openai/a": 3})],
            ["Certified: step sort: with 90%", "Not certified: 100.0% of the answers of step reply (3 of 3)"],
            id="one step of two",
        ),
        pytest.param([step(drifted=True)], ["Certified no more: audits found that step sort loses more"], id="no more"),
        pytest.param(
            [step(max_loss=None, delta=None, certified=0, uncertified={"openai/a": 3})],
            ["Nothing is certified for this job", "Not certified: 100.0%"],
            id="nothing",
        ),
        pytest.param([step(max_loss=None, delta=None, certified=0, by_reference=3)], [], id="the top model alone"),
    ],
)
def test_a_report_begins_with_what_is_certified_for_this_job(steps, said):
    found = list(sentences(Promise(reference="openai/large", steps=tuple(steps))))
    assert len(found) == len(said)
    assert all(sentence.startswith(beginning) for sentence, beginning in zip(found, said, strict=True))
