"""What follows from an answer: pure decisions over all that is known of it."""

import re
from dataclasses import dataclass
from typing import assert_never

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.check import CheckResult
from firstline.schemas.plan import PlannedStep, Step
from firstline.schemas.policy import Confidence, Demand, LastResort, Policy, Threshold
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from firstline.schemas.verdict import Accept, Escalate, Refer, Reject, Retry, Review, Verdict

#: Reasoning efforts in rising order.
_EFFORTS = ("minimal", "low", "medium", "high")
#: From this count of rounds on, in which all models of a tier failed on it, an item is to blame: five rounds while
#: others were answered, or twenty in all.
HOPELESS = 20
#: What each call counts beside the rounds that timed out for its item alone, while others were answered; they go along
#: to the next tier.
LATE = 100
#: After so many of those no further one is made; a tier below the top leaves the last to the one above.
_MOST_LATE = 3
#: Of why a check failed, this much stands in a verdict; the attempt has it whole.
_WHY_CHARS = 200
_OWN = re.compile(r" \(.*?\)(?=, \w+(?::[\w.]+)? \(|; |$)")


@dataclass(frozen=True, slots=True)
class Situation:
    """One answer, and where its subtask stands."""

    policy: Policy
    tier: str
    #: Names of the tiers, cheapest first.
    ladder: tuple[str, ...]
    #: Attempts used on this tier, this one among them.
    used: int = 1
    #: Attempts to be made on this tier; None: as the policy says.
    attempts: int | None = None
    error: ErrorKind | None = None
    detail: str | None = None
    checks: tuple[CheckResult, ...] = ()
    confidence: Confidence | None = None
    #: The threshold of the model that answered, on this tier; None: none is known.
    threshold: Threshold | None = None
    effort: str | None = None
    #: Times that the orchestrator model has been asked about this subtask.
    referrals: int = 0

    @property
    def is_top(self) -> bool:
        """Whether no tier is above this one."""
        return self.tier == self.ladder[-1] or self.tier not in self.ladder

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that the answer did not pass."""
        return tuple(check for check in self.checks if not check.passed)


def decide(situation: Situation) -> Verdict:  # noqa: PLR0911 - one return a kind of fault
    """Return what follows from the answer.

    A wrong answer is tried again here with feedback while attempts last, then climbs; an unsure one, or one that this
    model or these tokens cannot give, climbs at once; on the top tier the policy's last resort follows instead.
    """
    match situation.error:
        case None | ErrorKind.CHECKS if situation.failed:
            return _again_or_up(situation, "failed " + ", ".join(map(_in_words, situation.failed)))
        case None:
            return _weigh(situation)
        case ErrorKind.INPUT:
            return Reject(reason=_because(situation, "the input cannot be answered"))
        case ErrorKind.CONTEXT_LENGTH:
            return _up(situation, _because(situation, "the input is too long for this tier's model"))
        case ErrorKind.CONTENT_FILTER:
            return _up(situation, _because(situation, "the provider's content filter stopped it"))
        case ErrorKind.UNSURE:
            return _up(situation, _because(situation, "unsure"))
        case (
            ErrorKind.MALFORMED
            | ErrorKind.OFF_SCHEMA
            | ErrorKind.TRUNCATED
            | ErrorKind.REFUSED
            | ErrorKind.EMPTY
            | ErrorKind.CHECKS
            | ErrorKind.TOOL
        ):
            return _again_or_up(situation, _because(situation, situation.error.value))
        case (
            ErrorKind.AUTH
            | ErrorKind.NO_KEY
            | ErrorKind.QUOTA
            | ErrorKind.RATE
            | ErrorKind.LANE
            | ErrorKind.SERVER
            | ErrorKind.TIMEOUT
            | ErrorKind.CONNECTION
            | ErrorKind.BAD_REQUEST
            | ErrorKind.NOT_FOUND
        ):
            # Other models of the tier have been tried before a provider's fault comes here.
            return _up(situation, _because(situation, "no model of this tier could answer"))
    assert_never(situation.error)


def is_too_late(situation: Situation, faults: int) -> bool:
    """Say whether calls of an item timed out so often, while others were answered, that it is not asked here again."""
    return faults // LATE >= (_MOST_LATE if situation.is_top else _MOST_LATE - 1)


def _in_words(check: CheckResult) -> str:
    why = " ".join((check.reason or "").split())
    return f"{check.check} ({why if len(why) <= _WHY_CHARS else f'{why[:_WHY_CHARS]}...'})"


def without_why(reason: str) -> str:
    """Return a reason without what is one item's own, so that items which failed alike are counted together."""
    return _OWN.sub("", reason) if reason.startswith("failed ") else reason


def start_tier(demand: Demand, ladder: tuple[str, ...], policy: Policy) -> str:
    """Return the tier that answers first: the policy's, where the ladder has it, else by the reasoning demand.

    Low starts at the bottom, high at the top. Medium starts at the bottom of a ladder of two, since a try there costs
    little, and one above it where there are three or more.
    """
    if policy.start in ladder:
        return policy.start
    match demand:
        case Demand.LOW:
            return ladder[0]
        case Demand.MEDIUM:
            return ladder[1] if len(ladder) > 2 else ladder[0]
        case Demand.HIGH:
            return ladder[-1]
    assert_never(demand)


def policy_of(step: Step, skill: Skill | None) -> Policy:
    """Return a step's policy: field by field its own word, else its skill's, else the default."""
    base = skill.policy if skill else Policy()
    return step.policy.over(base) if step.policy else base


def first_tier(planned: PlannedStep, ladder: tuple[str, ...], start: str) -> str:
    """Return the lowest tier from `start` up whose answers may be accepted; the top one always accepts."""
    return next(name for name in ladder[ladder.index(start) :] if name == ladder[-1] or planned.may_accept(name))


def orchestrator_tier(profile: Profile, ladder: tuple[str, ...]) -> str:
    """Return the tier that plans, reviews and is referred to: the one that the profile names, else the top one."""
    return profile.orchestrator if profile.orchestrator in ladder else ladder[-1]


def above(tier: str, ladder: tuple[str, ...]) -> str | None:
    """Return the next tier up, None from the top or from a tier that is no rung."""
    higher = ladder[ladder.index(tier) + 1 :] if tier in ladder else ()
    return higher[0] if higher else None


def threshold_of(situation: Situation) -> Threshold | None:
    """Return what the answer's confidence must reach: the tier's threshold, or else the declared minimum."""
    floor = situation.policy.min_confidence
    if situation.threshold is not None or floor is None:
        return situation.threshold
    return Threshold(signal="", value=floor)


def _weigh(situation: Situation) -> Verdict:
    """Decide on an answer that passed its checks by its confidence."""
    threshold, confidence = threshold_of(situation), situation.confidence
    if threshold is None:
        return _unless_escalated(situation, situation.policy.uncalibrated, "no threshold is known for it")
    if threshold.value is None:
        return _unless_escalated(situation, "escalate", threshold.why or "nothing is accepted from this tier")
    if confidence is None or not _speaks_of(threshold, confidence):
        return _unless_escalated(situation, situation.policy.unsure, f"no value of {threshold.signal or 'any signal'}")
    figures = f"{confidence.signal} {confidence.value:.3f}, {threshold.source} threshold {threshold.value:.3f}"
    if confidence.value >= threshold.value:
        return Accept(reason=f"passed its checks; sure: {figures}")
    if situation.is_top and situation.policy.last_resort is LastResort.ACCEPT:
        return Accept(reason=f"passed its checks; unsure, but no tier stands above: {figures}")
    return _up(situation, f"unsure: {figures}")


def _speaks_of(threshold: Threshold, confidence: Confidence) -> bool:
    """Say whether the threshold is one for this signal: a declared one is for any, a calibrated one for its own."""
    return threshold.source == "declared" or threshold.signal == confidence.signal


def _unless_escalated(situation: Situation, choice: str, why: str) -> Verdict:
    """Accept or climb as the policy chooses; at the top there is nothing better to climb to."""
    if choice == "escalate" and not situation.is_top:
        return Escalate(reason=f"passed its checks, but {why}")
    return Accept(reason=f"passed its checks; {why}")


def _again_or_up(situation: Situation, reason: str) -> Verdict:
    most = situation.policy.attempts_per_tier if situation.attempts is None else situation.attempts
    if situation.used >= most:
        return _up(situation, f"{reason}; {situation.used} of {most} attempts used")
    return Retry(reason=reason, feedback=_feedback(situation), effort=_effort(situation))


def _up(situation: Situation, reason: str) -> Verdict:
    if not situation.is_top:
        return Escalate(reason=reason)
    match situation.policy.last_resort:
        case LastResort.REJECT | LastResort.ACCEPT:
            return Reject(reason=reason)
        case LastResort.REVIEW:
            return Review(reason=reason)
        case LastResort.REFER if situation.referrals < situation.policy.refer_rounds:
            return Refer(reason=reason)
        case LastResort.REFER:
            return Reject(reason=f"{reason}; the orchestrator model was asked {situation.referrals} times")
    assert_never(situation.policy.last_resort)


def _feedback(situation: Situation) -> tuple[str, ...]:
    """Say what was wrong, never nothing: an identical retry would be waste."""
    told = tuple(check.feedback for check in situation.failed if check.feedback)
    general = _ADVICE.get(situation.error) if situation.error else None
    detail = (situation.detail,) if situation.detail and not told else ()
    return (*((general,) if general else ()), *detail, *told) or ("the answer was not usable",)


_ADVICE = {
    ErrorKind.MALFORMED: "it was not the JSON asked for; write one complete JSON value and nothing else",
    ErrorKind.OFF_SCHEMA: "it did not have the form asked for",
    ErrorKind.TRUNCATED: "it was cut off at the length limit; answer much more briefly",
    ErrorKind.REFUSED: "it refused; the task is legitimate work on the given material, so answer it, or use the "
    "form's way to say that something is not there",
    ErrorKind.EMPTY: "it was empty",
    ErrorKind.TOOL: "a tool call failed; mend its arguments or answer without it",
}


def _effort(situation: Situation) -> str | None:
    """Raise the effort by one where the policy says so; not after truncation, as thinking uses up the same tokens."""
    if not situation.policy.raise_effort or situation.error is ErrorKind.TRUNCATED:
        return situation.effort
    if situation.effort is None:
        # The provider's default is often medium already; only high is surely more.
        return _EFFORTS[-1]
    return above(situation.effort, _EFFORTS) or situation.effort


def _because(situation: Situation, reason: str) -> str:
    return f"{reason}: {situation.detail}" if situation.detail else reason
