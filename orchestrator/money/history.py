"""What earlier answers of a skill say of each model that a step may be answered by, calibrations among them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from firstline.config.providers.prices import Terms, price_of
from firstline.orchestrator.money.cost_model import Record
from firstline.orchestrator.money.measured import IN_EARNEST, LOOKED_BACK, measured_of
from firstline.orchestrator.store import calibrations, outcomes
from firstline.schemas.attempt import Usage
from firstline.schemas.plan import EVERY, PlannedStep
from firstline.schemas.policy import Threshold
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Lane, Model, Price, Profile, Tier, TierKind
from firstline.workers.estimates.answer_guess import answer_length
from firstline.workers.estimates.expectation import MENDED, PASSED, SURE, Rung, Share, Spread
from firstline.workers.rules.lanes import lane_of
from firstline.workers.rules.pricing import dollars

#: Tries from which on a length, a price or a share in force is taken as measured.
ENOUGH = 8
_SHARE_ENOUGH = 20
#: How far a figure of earlier items may be from that of others, and a single answer from the mean of all.
_OTHERS, _SINGLE = 0.05, 0.8
#: By what factor the answers of another model of the same skill tell of this one's.
_OTHER_MODEL = 0.4
#: Prompts of earlier items that are so much longer or shorter, as a logarithm, are of another kind.
_OTHER_KIND = 0.5
#: What is not retried of first answers that failed: too long, filtered, or the job was ended.
_AGAIN = Share(1.0, 0.3)
#: What tools and paid signals add where nothing is measured, as a factor's deviation; tokens of a verifier's word.
_UNMEASURED, _TOOLED = 0.3, Spread(2.5, 0.5)
_VERDICT_TOKENS = 60
_NOTHING = Record()


@dataclass(frozen=True)
class Past:
    """A model's record with a skill."""

    #: Of jobs in earnest, at the place that the step has on the ladder, under the threshold that is in force.
    earnest: Record = _NOTHING
    #: Of all jobs: whether answers pass their checks is the same in each.
    everywhere: Record = _NOTHING
    #: Mean tokens of first tries; None: too few.
    input_tokens: float | None = None
    output_tokens: float | None = None
    asked: int = 0


def past_of(tx: Connection, *, tenant: str, digest: str, model: Model, climbed: bool, since: object) -> Past:
    """Return a model's record; `climbed`: of subtasks that climb to it; `since`: of the threshold in force, or None."""
    rows = outcomes.recent(tx, tenant=tenant, skill_digest=digest, model=model.name, rows=2 * LOOKED_BACK, purposes=())
    earnest = measured_of([row for row in rows if row["purpose"] in IN_EARNEST and (not since or row["at"] >= since)])
    own, other = (earnest.climbed, earnest.started) if climbed else (earnest.started, earnest.climbed)
    everywhere = measured_of(rows)
    asked = sum(row["asked"] for row in rows)
    known = asked >= ENOUGH
    return Past(
        earnest=own if own.first.asked else other,
        everywhere=everywhere.started + everywhere.climbed,
        input_tokens=sum(row["input_tokens"] for row in rows) / asked if known else None,
        output_tokens=sum(row["output_tokens"] for row in rows) / asked if known else None,
        asked=asked,
    )


@dataclass(frozen=True)
class Subject:
    """A step whose tiers are to be told of."""

    planned: PlannedStep
    skill: Skill
    profile: Profile
    tenant: str
    #: Tokens of its prompts by rule of thumb, in the mean.
    tokens: float
    #: Seconds that its job has; None: nobody presses.
    left_s: float | None = None


def rungs_of(tx: Connection, subject: Subject, way: Sequence[Tier]) -> tuple[tuple[Rung, ...], int]:
    """Return a step's tiers as they are expected to come out, and how many earlier answers that is known from."""
    calibrated = _calibrations(tx, subject)
    threshold = {tier.name: _threshold(subject, tier) for tier in way}
    rows = {
        tier.name: calibrated.get(one.calibration_id) if (one := threshold[tier.name]) is not None else None
        for tier in way
    }
    past = {
        tier.name: past_of(
            tx,
            tenant=subject.tenant,
            digest=subject.skill.digest,
            model=tier.models[0],
            climbed=number > 0,
            since=row["created_at"] if (row := rows[tier.name]) is not None else None,
        )
        for number, tier in enumerate(way)
    }
    found = tuple(
        _Rung(subject, tier, past[tier.name], threshold[tier.name], rows[tier.name], list(past.values())).rung
        for tier in way
    )
    return found, sum(one.asked for one in past.values())


def _calibrations(tx: Connection, subject: Subject) -> dict[int | None, RowMapping]:
    top = subject.profile.ladder[-1].models[0].name
    rows = calibrations.standing(tx, tenant=subject.tenant, skill_digest=subject.skill.digest, frontier_model=top)
    return {row["id"]: row for row in rows}


def _threshold(subject: Subject, tier: Tier) -> Threshold | None:
    """Return from which confidence a tier's answers are accepted; None: confidence does not count there."""
    planned = subject.planned
    found = planned.threshold(tier.name, tier.models[0].name)
    if found is None and planned.policy.min_confidence is not None:
        found = Threshold(signal="", value=planned.policy.min_confidence)
    return found if found is not None and found.value is not None else None


@dataclass(frozen=True)
class _Rung:
    """One tier's figures, each from what was measured or else a guess."""

    subject: Subject
    tier: Tier
    past: Past
    threshold: Threshold | None
    calibration: RowMapping | None
    others: Sequence[Past]

    @property
    def rung(self) -> Rung:
        accepted, sure, again = self._shares()
        return Rung(
            tier=self.tier.name,
            model=self.tier.models[0].name,
            price=self._price,
            ratio=self._ratio,
            answer=self._answer,
            accepted=accepted,
            sure=sure,
            attempts=self.subject.planned.attempts_on(self.tier.name, EVERY),
            again=again,
            mended=MENDED.seen(self.past.everywhere.again.accepted, self.past.everywhere.again.asked),
            beside=self._beside,
            is_left=self.tier.name in self.subject.planned.route.not_started,
            is_known=self.past.earnest.first.asked >= _SHARE_ENOUGH,
        )

    @property
    def _price(self) -> Price | None:
        model, tokens = self.tier.models[0], round(self.subject.tokens)
        is_batch = self.tier.kind is TierKind.BATCH
        lane = Lane.BATCH if is_batch else lane_of(self.tier, model, self.subject.left_s)
        price = price_of(model, Terms(prompt_tokens=tokens, lane=lane))
        # Where nobody knows what a slow lane costs, the ordinary one is the dearest that it may be.
        return price if price is not None or is_batch else price_of(model, Terms(prompt_tokens=tokens))

    def _shares(self) -> tuple[Share, Share | None, Share | None]:
        """Return the shares accepted at first, sure enough besides, and tried again."""
        first = self.past.everywhere.first
        if self.threshold is None:
            return PASSED.seen(first.accepted, first.asked), None, self._retried(self.past.everywhere, _AGAIN)
        own = self.past.earnest
        if own.first.asked >= _SHARE_ENOUGH:
            return PASSED.seen(own.first.accepted, own.first.asked), None, self._retried(own, Share(0.5, 0.5))
        sure = SURE if self.threshold.value else Share(8.0, 0.2)
        if self.calibration is not None and self.calibration["expected_frontier_share"] is not None:
            labels = float(self.calibration["labels_used"])
            sure = SURE.seen(labels * (1 - self.calibration["expected_frontier_share"]), labels)
        checked = self.past.everywhere if not self.past.earnest.first.asked else _NOTHING
        return PASSED.seen(checked.first.accepted, checked.first.asked), sure, None

    def _retried(self, record: Record, guess: Share) -> Share:
        """Return the share of failed first answers that is tried again; third and later tries are no more of them."""
        failed, again = record.first.asked - record.first.accepted, record.again
        more = self.subject.planned.policy.attempts_per_tier - 1
        each = sum((1 - again.share) ** n for n in range(max(1, more)))
        return guess.seen(min(failed, again.asked / each), failed)

    @property
    def _answer(self) -> Spread:
        if self.past.output_tokens:
            return Spread(self.past.output_tokens, _measured(self.past.asked))
        known = [(one.output_tokens, one.asked) for one in self.others if one.output_tokens]
        if known:
            tokens, asked = max(known, key=lambda one: one[1])
            return Spread(tokens or 0.0, math.hypot(_OTHER_MODEL, _measured(asked)))
        return answer_length(self.subject.skill)

    @property
    def _ratio(self) -> Spread:
        """Return tokens billed to those by rule of thumb: earlier items may also have been longer than these."""
        seen = self.past.input_tokens
        if not seen or not self.subject.tokens or self.subject.planned.step.is_barrier:
            return Spread(1.0, 0.2)
        apart = math.log(seen / self.subject.tokens)
        if abs(apart) > _OTHER_KIND:
            return Spread(1.0, 0.25)
        return Spread(math.exp(apart / 2), math.hypot(abs(apart) / math.sqrt(12), _measured(self.past.asked)))

    @property
    def _beside(self) -> Spread:
        """Return the dollars of a try, with its tools and signals, to those of the answer alone."""
        record = self.past.earnest if self.threshold is not None else self.past.everywhere
        price = self._price
        if record.first.asked >= ENOUGH and record.first.usd > 0 and price is not None and self.past.input_tokens:
            tokens = Usage(
                input_tokens=round(self.past.input_tokens),
                cached_tokens=0,
                output_tokens=round(self.past.output_tokens or 0),
            )
            usd = dollars(tokens, price)
            if usd:
                return Spread((record.first.each_usd or 0.0) / usd, _measured(record.first.asked) / 2)
        tools = _TOOLED if self.subject.skill.tools else Spread(1.0)
        signals = self._signals(price) if self.threshold is not None else 0.0
        return Spread(tools.value + signals, math.hypot(tools.off, _UNMEASURED if signals else 0.0))

    def _signals(self, price: Price | None) -> float:
        """Return what the first signal that can have a value costs, as a multiple of the answer."""
        for signal in self.subject.skill.confidence:
            match signal.kind:
                case "agreement":
                    return float(signal.samples)
                case "verifier":
                    return self._verifier(signal.tier, price)
                case _ if self.tier.models[0].logprobs or not signal.is_of_logprobs:
                    return 0.0
        return 0.0

    def _verifier(self, name: str | None, price: Price | None) -> float:
        judge = self.subject.profile.tier(name) if name else self.tier
        other = price_of(judge.models[0]) if judge is not None else None
        if price is None or other is None:
            return 1.0
        asked = round(self.subject.tokens)
        own = dollars(Usage(input_tokens=asked, cached_tokens=0, output_tokens=round(self._answer.value)), price)
        extra = dollars(Usage(input_tokens=asked, cached_tokens=0, output_tokens=_VERDICT_TOKENS), other)
        return extra / own if own and extra else 1.0


def _measured(asked: int) -> float:
    return math.hypot(_OTHERS, _SINGLE / math.sqrt(max(1, asked)))
