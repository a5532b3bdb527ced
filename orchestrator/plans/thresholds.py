"""From which confidence on a model's answers are accepted: certificates, the policy, and what the signals can say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from firstline.orchestrator.store.calibrations import Certificate, certificates
from firstline.schemas.base import JsonObject
from firstline.schemas.policy import COMBINED, DECISION, Policy, Signal, Threshold
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier
from firstline.workers.rules.closed_answers import undecidable

#: Room for rounding where shares of a loss are added up again.
_EPSILON = 1e-9


#: Skill -> its certificates by model.
Certificates = Callable[[Skill], Mapping[str, Certificate]]


def nothing_certified(skill: Skill) -> Mapping[str, Certificate]:
    """Return no certificates: of jobs that only measure, and where no database is at hand."""
    return {}


def thresholds_of(
    skill: Skill, policy: Policy, tiers: Sequence[Tier], certificates: Mapping[str, Certificate]
) -> dict[str, dict[str, Threshold]]:
    """Return tier -> model -> threshold for the tiers below the top one, cheapest first; no entry: accept on checks.

    Where anything is certified, what is not accepts nothing: a guarantee speaks of every answer that is served. The
    losses of the tiers add up, those of a tier's models do not (an item is answered by one of them), and what would
    bring the sum above the loss that is borne accepts nothing either. A threshold without a value says why.
    """
    known = {model: one for model, one in certificates.items() if _counts(one, skill, policy)}
    if not known:
        declared = {tier.name: _declared(skill, policy, tier) for tier in tiers}
        return {name: models for name, models in declared.items() if models}
    # An explicit loss in a policy is the limit; else what the calibrations were made for.
    borne = policy.max_loss if "max_loss" in policy.model_fields_set else max(one.borne for one in known.values())
    found: dict[str, dict[str, Threshold]] = {}
    taken = 0.0
    for tier in tiers:
        room = borne - taken + _EPSILON
        found[tier.name] = {model.name: _certified(skill, policy, model, known, room) for model in tier.models}
        taken += max((one.max_loss or 0.0 for one in found[tier.name].values()), default=0.0)
    return found


def _counts(certificate: Certificate, skill: Skill, policy: Policy) -> bool:
    """Say whether a certificate has a say: of a signal that the skill has, or of drift that the policy acts on."""
    if certificate.drifted and policy.on_drift == "escalate":
        return True
    return certificate.signal in _labels(skill)


def _labels(skill: Skill) -> tuple[str, ...]:
    """Return the signals that a skill's answers may have: those it declares, and a decision model's own."""
    return (
        *(signal.label for signal in skill.confidence),
        DECISION,
        *([COMBINED] if len(skill.confidence) > 1 else []),
    )


def _undecidable(skill: Skill) -> str | None:
    """Return why decision models cannot answer a skill at all."""
    if skill.tools:
        return f"skill '{skill.name}' calls tools, which a decision model cannot"
    why = undecidable(skill.output)
    return f"a decision model cannot answer skill '{skill.name}': {why}" if why else None


def _certified(skill: Skill, policy: Policy, model: Model, known: Mapping[str, Certificate], room: float) -> Threshold:
    one = known.get(model.name)
    if one is None:
        return _nothing(skill, f"nothing is certified for {model.name}")
    if model.decides and (why := _undecidable(skill)):
        return _nothing(skill, why)
    if one.drifted and policy.on_drift == "escalate":
        why = "audits found more losses than are borne; calibrate it again"
        return Threshold(signal=one.signal, value=None, source="audit", calibration_id=one.calibration, why=why)
    blank = Threshold(signal=one.signal, value=None, source="calibrated", calibration_id=one.calibration)
    if one.threshold is None:
        return blank.evolve(why=f"nothing could be certified for {model.name}")
    if one.max_loss > room:
        return blank.evolve(
            why=f"{model.name} is certified for a loss of {one.max_loss:.2%}, and {max(0.0, room):.2%} is left to bear"
        )
    found = blank.evolve(value=one.threshold, max_loss=one.max_loss, delta=one.delta)
    return found if one.combination is None else found.evolve(combination=one.combination)


def _nothing(skill: Skill, why: str) -> Threshold:
    signal = skill.confidence[0].label if skill.confidence else ""
    return Threshold(signal=signal, value=None, source="uncertified", why=why)


def _declared(skill: Skill, policy: Policy, tier: Tier) -> dict[str, Threshold]:
    """Return what a policy alone says of a tier's models, of which nothing is certified."""
    is_open = policy.min_confidence is None and policy.uncalibrated == "accept"
    weighed = [model for model in tier.models if model.decides or not is_open]
    return {model.name: _declared_of(skill, policy, model) for model in weighed}


def _declared_of(skill: Skill, policy: Policy, model: Model) -> Threshold:
    if model.decides:
        why = _undecidable(skill) or f"{model.name} is a decision model: it serves nothing that is not certified"
        return _nothing(skill, why)
    if policy.min_confidence is None:
        return _nothing(skill, "its policy accepts nothing that is not calibrated").evolve(source="declared")
    if policy.min_confidence > 0 and policy.unsure == "escalate" and not has_signal(skill, model):
        why = f"no signal of the skill can have a value for {model.name}"
        return _nothing(skill, why).evolve(source="declared")
    signal = skill.confidence[0].label if skill.confidence else ""
    return Threshold(signal=signal, value=policy.min_confidence)


def has_signal(skill: Skill, model: Model) -> bool:
    """Say whether a signal of the skill can have a value for a model's answers."""
    if model.decides:
        return _undecidable(skill) is None
    return any(model.logprobs or not signal.is_of_logprobs for signal in skill.confidence)


def signals_for(output: JsonObject) -> tuple[Signal, ...]:
    """Return the free signals that an answer of this form can give: between labels where it has some."""
    labels = (Signal(kind="margin"),) if _has_enum(output) else ()
    return (*labels, Signal(kind="mean_logprob"))


def _has_enum(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "enum" in schema or any(_has_enum(part) for part in schema.values())
    return isinstance(schema, list) and any(_has_enum(part) for part in schema)


def known_certificates(tx: Connection, *, profile: Profile, tenant: str) -> Certificates:
    """Return the look-up of what is certified for a tenant beneath a profile's top model.

    A calibration for another version of the skill does not count, and counts again after a rollback to its own; another
    folder's skill of the same name has one of its own.
    """
    top = profile.ladder[-1].models[0].name

    def look_up(skill: Skill) -> Mapping[str, Certificate]:
        found: dict[str, Certificate] = {}
        signals = _labels(skill)
        for one in certificates(tx, tenant=tenant, skill_digest=skill.digest, frontier_model=top):
            known = found.get(one.model)
            # Newest first; one of a signal that the skill has is worth more than what an audit says of any signal.
            if known is None or (known.signal not in signals and one.signal in signals and not known.drifted):
                found[one.model] = one
        return found

    return look_up
