"""What follows from an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.check import CheckResult
from firstline.schemas.policy import Confidence, Demand, LastResort, Policy, Threshold
from firstline.schemas.verdict import Accept, Escalate, Refer, Reject, Retry, Review
from firstline.workers.rules.policy import Situation, above, decide, start_tier, without_why

LADDER = ("cheap", "middle", "frontier")
BAD = CheckResult(check="range", reason="too large")
HINTED = CheckResult(check="regex", reason="no match", hint="use digits")
GOOD = CheckResult(check="schema")
SURE = Threshold(signal="margin", value=0.8, source="calibrated", calibration_id=1)


def at(tier: str = "cheap", policy: dict[str, object] | None = None, **facts: object) -> Situation:
    return Situation(policy=Policy.model_validate(policy or {}), tier=tier, ladder=LADDER, **facts)  # type: ignore[arg-type]


def conf(value: float, signal: str = "margin") -> Confidence:
    return Confidence(signal=signal, value=value)


NOTHING = Threshold(signal="margin", value=None, source="calibrated")
TAKE = {"last_resort": "accept"}
TABLE = [
    ("passed, no threshold known", at(checks=(GOOD,)), Accept),
    ("passed, uncalibrated climbs by policy", at(policy={"uncalibrated": "escalate"}), Escalate),
    ("uncalibrated at the top", at("frontier", {"uncalibrated": "escalate"}), Accept),
    ("sure enough", at(threshold=SURE, confidence=conf(0.8)), Accept),
    ("unsure climbs at once", at(threshold=SURE, confidence=conf(0.79)), Escalate),
    ("unsure at the top", at("frontier", threshold=SURE, confidence=conf(0.1)), Reject),
    ("unsure at the top, accepted by policy", at("frontier", TAKE, threshold=SURE, confidence=conf(0.1)), Accept),
    ("wrong at the top, whatever the policy accepts", at("frontier", TAKE, checks=(BAD,), used=2), Reject),
    ("nothing certified", at(threshold=NOTHING, confidence=conf(1.0)), Escalate),
    ("nothing certified at the top", at("frontier", threshold=NOTHING, confidence=conf(1.0)), Accept),
    ("no signal has a value", at(threshold=SURE), Escalate),
    ("no signal, accepted by policy", at(policy={"unsure": "accept"}, threshold=SURE), Accept),
    ("another signal than the calibrated", at(threshold=SURE, confidence=conf(0.99, "mean_logprob")), Escalate),
    ("declared minimum holds for any signal", at(policy={"min_confidence": 0.5}, confidence=conf(0.6)), Accept),
    ("below the declared minimum", at(policy={"min_confidence": 0.5}, confidence=conf(0.4)), Escalate),
    ("calibrated below the minimum", at(policy={"min_confidence": 0.9}, threshold=SURE, confidence=conf(0.85)), Accept),
    ("calibrated above it", at(policy={"min_confidence": 0.5}, threshold=SURE, confidence=conf(0.7)), Escalate),
    ("nothing certified, whatever the minimum", at(policy={"min_confidence": 0}, threshold=NOTHING), Escalate),
    ("failed a check", at(checks=(GOOD, BAD)), Retry),
    ("failed a check, attempts used up", at(checks=(BAD,), used=2), Escalate),
    ("failed a check at the top", at("frontier", checks=(BAD,), used=2), Reject),
    ("malformed", at(error=ErrorKind.MALFORMED), Retry),
    ("off schema", at(error=ErrorKind.OFF_SCHEMA), Retry),
    ("empty", at(error=ErrorKind.EMPTY), Retry),
    ("truncated", at(error=ErrorKind.TRUNCATED), Retry),
    ("refused", at(error=ErrorKind.REFUSED), Retry),
    ("refused again", at(error=ErrorKind.REFUSED, used=2), Escalate),
    ("one attempt only", at(policy={"attempts_per_tier": 1}, error=ErrorKind.MALFORMED), Escalate),
    ("too long for the model", at(error=ErrorKind.CONTEXT_LENGTH), Escalate),
    ("too long for every model", at("frontier", error=ErrorKind.CONTEXT_LENGTH), Reject),
    ("content filter", at(error=ErrorKind.CONTENT_FILTER), Escalate),
    ("unfit input", at(error=ErrorKind.INPUT, detail="text is missing"), Reject),
    ("provider's fault", at(error=ErrorKind.SERVER), Escalate),
    ("review at the top", at("frontier", {"last_resort": "review"}, checks=(BAD,), used=2), Review),
    ("refer at the top", at("frontier", {"last_resort": "refer"}, checks=(BAD,), used=2), Refer),
    ("referred before", at("frontier", {"last_resort": "refer"}, checks=(BAD,), used=2, referrals=1), Reject),
]


@pytest.mark.parametrize(("situation", "verdict"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_the_verdict_follows_from_the_situation(situation, verdict):
    decided = decide(situation)
    assert isinstance(decided, verdict)
    assert decided.reason


@pytest.mark.parametrize(
    ("situation", "feedback"),
    [
        pytest.param(at(checks=(GOOD, BAD, HINTED)), ("too large", "use digits"), id="reasons and hints of checks"),
        pytest.param(at(error=ErrorKind.EMPTY), ("it was empty",), id="an error"),
        pytest.param(at(error=ErrorKind.CHECKS, detail="odd"), ("odd",), id="detail without results"),
    ],
)
def test_a_retry_says_what_was_wrong(situation, feedback):
    assert decide(situation).feedback == feedback


def test_a_truncated_answer_is_to_be_shorter_and_not_thought_about_longer():
    verdict = decide(at(policy={"raise_effort": True}, error=ErrorKind.TRUNCATED, effort="low"))
    assert "more briefly" in verdict.feedback[0]
    assert verdict.effort == "low"


@pytest.mark.parametrize(
    ("raises", "before", "after"),
    [
        (True, None, "high"),
        (True, "low", "medium"),
        (True, "high", "high"),
        (True, "max", "max"),
        (False, "low", "low"),
        (False, None, None),
    ],
)
def test_the_effort_rises_before_the_model_changes_where_the_policy_says_so(raises, before, after):
    assert decide(at(policy={"raise_effort": raises}, checks=(BAD,), effort=before)).effort == after


def test_the_figures_stand_in_the_reason():
    assert "margin 0.790, calibrated threshold 0.800" in decide(at(threshold=SURE, confidence=conf(0.79))).reason


def test_why_a_check_failed_stands_in_the_reason():
    cents = CheckResult(check="schema", reason="`price`: 12.345 is\nnot a multiple of 0.01")
    assert decide(at("frontier", checks=(cents, GOOD), used=2)).reason == (
        "failed schema (`price`: 12.345 is not a multiple of 0.01); 2 of 2 attempts used"
    )
    assert len(decide(at("frontier", checks=(CheckResult(check="x", reason="y" * 9000),), used=2)).reason) < 300


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("failed schema (`a`: 1.5 (one) is not 2); 2 of 2 attempts used", "failed schema; 2 of 2 attempts used"),
        ("failed schema (`a`: no), grounded:quote ('x' is not there)", "failed schema, grounded:quote"),
        ("the input (item 3) is too long", "the input (item 3) is too long"),
    ],
)
def test_items_that_failed_alike_are_counted_together(reason, kind):
    assert without_why(reason) == kind


SITUATIONS = st.builds(
    Situation,
    policy=st.builds(
        Policy,
        attempts_per_tier=st.integers(1, 3),
        raise_effort=st.booleans(),
        min_confidence=st.none() | st.floats(0, 1),
        uncalibrated=st.sampled_from(["accept", "escalate"]),
        unsure=st.sampled_from(["accept", "escalate"]),
        last_resort=st.sampled_from(LastResort),
        refer_rounds=st.integers(0, 2),
    ),
    tier=st.sampled_from(LADDER),
    ladder=st.just(LADDER),
    used=st.integers(1, 4),
    error=st.none() | st.sampled_from(ErrorKind),
    detail=st.none() | st.text(min_size=1, max_size=5),
    checks=st.lists(st.sampled_from([GOOD, BAD, HINTED]), max_size=3).map(tuple),
    confidence=st.none() | st.builds(conf, st.floats(0, 1), st.sampled_from(["margin", "agreement"])),
    threshold=st.none() | st.sampled_from([SURE, NOTHING]),
    effort=st.sampled_from([None, "low", "medium", "high"]),
    referrals=st.integers(0, 3),
)


@given(SITUATIONS)
def test_every_situation_has_a_verdict_within_bounds(situation):
    match decide(situation):
        case Retry(feedback=feedback):
            assert situation.used < situation.policy.attempts_per_tier
            assert feedback
        case Escalate():
            assert not situation.is_top
        case Refer():
            assert situation.is_top
            assert situation.referrals < situation.policy.refer_rounds
        case Accept():
            assert situation.error is None
            assert not situation.failed
        case Review() | Reject():
            assert situation.is_top or situation.error is ErrorKind.INPUT


@given(SITUATIONS, st.floats(0, 1))
def test_more_confidence_never_makes_an_accepted_answer_climb(situation, more):
    if isinstance(decide(situation), Accept) and situation.confidence and more >= situation.confidence.value:
        surer = Situation(
            **{
                **{name: getattr(situation, name) for name in Situation.__slots__},
                "confidence": conf(more, situation.confidence.signal),
            }
        )
        assert isinstance(decide(surer), Accept)


@pytest.mark.parametrize(
    ("demand", "ladder", "start"),
    [
        (Demand.LOW, LADDER, "cheap"),
        (Demand.MEDIUM, LADDER, "middle"),
        (Demand.MEDIUM, LADDER[1:], "middle"),
        (Demand.HIGH, LADDER, "frontier"),
        (Demand.HIGH, LADDER[:1], "cheap"),
    ],
)
def test_the_start_follows_from_the_demand(demand, ladder, start):
    assert start_tier(demand, ladder, Policy()) == start


def test_the_policys_start_wins_where_the_ladder_has_it():
    assert start_tier(Demand.LOW, LADDER, Policy(start="frontier")) == "frontier"
    assert start_tier(Demand.LOW, LADDER[:2], Policy(start="frontier")) == "cheap"


def test_the_next_tier_is_one_up():
    assert [above(tier, LADDER) for tier in (*LADDER, "other")] == ["middle", "frontier", None, None]
