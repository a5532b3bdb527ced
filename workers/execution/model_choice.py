"""Which model of a tier a subtask goes to next: past those that failed on it and those that it is too long for."""

from collections.abc import Collection

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model, Tier
from firstline.schemas.verdict import Defer
from firstline.workers.estimates.call_estimate import text_tokens
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.calling import Calls, ModelAnswer
from firstline.workers.limits.cooldown_rules import FAULTS
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.limits.gate import Gate
from firstline.workers.rules.policy import HOPELESS, LATE

#: Faults that the item itself may bring about: an outage, a bad key or a quota never is of its making.
_OF_THE_ITEM = frozenset({ErrorKind.SERVER, ErrorKind.TIMEOUT, ErrorKind.BAD_REQUEST})
#: What one round counts in which every model of the tier failed on the item: less where they fail on others too, for
#: that is an outage.
_WHILE_OTHERS_ARE_ANSWERED, _IN_AN_OUTAGE = 4, 1
#: Times a window that an item's tokens by rule of thumb must be to be surely too many.
_SURELY = 2


def choose(gate: Gate, tier: Tier, state: AttemptState, *, text: str) -> Model | Defer:
    """Return the model that answers next; `text` is the item's own.

    A model whose window is surely too small is passed over where another one has more room.
    """
    tokens = text_tokens(text) if any(model.context_tokens for model in tier.models) else 0
    surely = {model.name for model in tier.models if _is_over(model, tokens)}
    small = state.small | surely
    roomy = small if len(small) < len(tier.models) else state.small
    return gate.pick(tier, avoid={*state.avoid, *state.late, *roomy})


def is_the_models_fault(calls: Calls, said: ModelAnswer, model: Model) -> bool:
    """Say whether another model is to answer instead, and note why."""
    state, reply, error, detail = calls.state, said.reply, said.reply.error, said.reply.detail or ""
    if reply.is_items_fault:
        return False
    if error is not None and error in FAULTS:
        if not reply.is_lanes_fault:
            state.avoid[model.name] = error
        state.add(said.attempt, verdict="fault", reason=detail)
        return True
    # What is too long for a model as one of a pack may have room in it alone.
    if error is ErrorKind.CONTEXT_LENGTH and reply.packed == 1 and _too_long(calls.subtask.tier, state, model):
        state.add(said.attempt, verdict="fault", reason=f"another model has more room: {detail}")
        return True
    return False


def _too_long(tier: Tier, state: AttemptState, model: Model) -> bool:
    """Note that an item was too long for a model; return whether another model of the tier may have room for it."""
    state.small |= {other.name for other in tier.models if other.name == model.name or not _has_more(other, model)}
    return any(other.name not in {*state.small, *state.avoid} for other in tier.models)


def count_round(gate: Gate, tier: Tier, state: AttemptState, who: Struck) -> bool:
    """Count a round in which no model was left; return whether so many have passed that the item is to blame.

    Whatever the kind of fault: what strikes one item again and again while the model answers others is the item's.
    """
    tried = [model for model in tier.models if model.name in state.avoid]
    if len(tried) + len(state.small) < len(tier.models) or not tried:
        return False
    is_its_own = all(gate.is_its_own(model, who, state.avoid[model.name]) for model in tried)
    if not is_its_own and not all(kind in _OF_THE_ITEM for kind in state.avoid.values()):
        return False
    state.faults += _WHILE_OTHERS_ARE_ANSWERED if is_its_own or gate.answers(tried) else _IN_AN_OUTAGE
    return state.faults % LATE >= HOPELESS


def failures(state: AttemptState) -> str:
    """Return what the models failed of."""
    kinds: Collection[str] = dict.fromkeys(f"{name}: {kind.value}" for name, kind in state.avoid.items())
    return "; ".join(kinds)


def _is_over(model: Model, tokens: float) -> bool:
    return model.context_tokens is not None and tokens > _SURELY * model.context_tokens


def _has_more(other: Model, model: Model) -> bool:
    """Say whether a model may take more than another; of unknown windows each may."""
    if other.context_tokens is None or model.context_tokens is None:
        return True
    return other.context_tokens > model.context_tokens
