"""When a model is left alone after faults of its own, for how long, and how it comes back."""

from collections import deque
from dataclasses import dataclass, field

from firstline.schemas.attempt import ErrorKind

#: Outcomes that a model's fault rate is judged by.
_WINDOW = 20
#: A model is left alone after enough faults in a row if at least this share of its last outcomes were faults, so that a
#: few bad calls among hundreds stop nothing ...
_IN_A_ROW_SHARE = 0.3
#: ... and for this share of at least `_ENOUGH` outcomes, in whatever order.
_SHARE = 0.5
_ENOUGH = 10
#: Seconds that a probe keeps others away unless it ends sooner.
PROBE_S = 30.0
#: Seconds that a model is left alone before it is proven, where only one item, or one job's parameters, found fault.
_LONE_S = 1.0
#: From this many faults on one item, while others were answered, they are that item's; limits strike anybody.
_OWN_FAULTS, _OWN_LIMITS = 2, 4
#: Items that faults are known of.
_SUSPECTS = 2_000
#: Of so many calls other items than one may have timed out: this number of them, or this share.
_CALLS, _LATE_OTHERS, _LATE_SHARE = 40, 2, 0.1


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of fault means for its model."""

    #: How the fault is told to people.
    words: str
    #: Faults in a row before the model is left alone.
    patience: int
    #: Seconds of the first cool-down (None: the tier's); each further one without a success between is twice as long.
    first_s: float | None
    longest_s: float
    #: One call proves the model before the others go on.
    probation: bool = True


#: Faults of the model or its provider. A 429 pauses at once and shortly; what a person has to mend keeps a model away
#: longest; a refused request says more about the request than about the model, so it takes many.
RULES = {
    ErrorKind.RATE: Rule("asking to slow down", 1, 2.0, 60.0, probation=False),
    # Where the model's own parameters ask for the lane, there is no other one to fall back to.
    ErrorKind.LANE: Rule("its lane being full", 1, 5.0, 120.0, probation=False),
    ErrorKind.SERVER: Rule("server errors", 3, None, 300.0),
    ErrorKind.TIMEOUT: Rule("calls that timed out", 3, None, 300.0),
    ErrorKind.CONNECTION: Rule("failed connections", 3, None, 300.0),
    ErrorKind.AUTH: Rule("refusing its key", 2, 30.0, 1800.0),
    ErrorKind.NO_KEY: Rule("calls that found its key not set", 2, 30.0, 1800.0),
    ErrorKind.QUOTA: Rule("a quota that is used up", 2, 30.0, 1800.0),
    ErrorKind.NOT_FOUND: Rule("not being known to its provider", 2, 30.0, 1800.0),
    ErrorKind.BAD_REQUEST: Rule("refusing every request", 6, 30.0, 300.0),
}
FAULTS = frozenset(RULES)
#: The longest time that a slow lane is left alone that is full again and again.
LONGEST_SHUT_S = 900.0
#: The longest time that a provider's Retry-After is followed before the model is tried again.
LONGEST_ASKED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Cooling:
    """A decision to leave a model alone."""

    kind: ErrorKind
    length_s: float
    longest_s: float
    #: The length is what the provider asked for.
    asked: bool
    probation: bool
    #: One item alone was struck, or one job.
    lone: bool = False


@dataclass(slots=True)
class Suspect:
    """Who a model failed on: how often, and what the model had answered when it first did."""

    faults: int
    answered: int


@dataclass(slots=True)
class Health:
    """What a worker process knows of one model; times are those of the process's own clock, in seconds."""

    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    in_a_row: int = 0
    #: The parties that the faults in a row struck; None among them: nobody said.
    row: set[str | None] = field(default_factory=set)
    #: Calls that the model answered, probes among them, and when it last did.
    answered: int = 0
    answered_at: float = float("-inf")
    #: Of its last calls: the items that it was too late for; None: it answered.
    late: deque[str | None] = field(default_factory=lambda: deque(maxlen=_CALLS))
    suspects: dict[str, Suspect] = field(default_factory=dict)
    kind: ErrorKind | None = None
    until: float = 0.0
    probation: bool = False
    probe_until: float = 0.0
    #: It is left alone for what one item alone met, or one job.
    lone: bool = False
    #: When the model was last asked for.
    used_at: float = 0.0
    #: Changes that Redis has not been told yet: what stands there is older than what is known here.
    untold: int = 0

    def wait_s(self, now: float) -> float:
        """Return the seconds until a call may be made; 0: now."""
        ends = max(self.until, self.probe_until) if self.probation else self.until
        return max(0.0, ends - now)

    def why(self, now: float) -> str:
        """Return in words for how long the model is left alone, and after what."""
        words = RULES[self.kind].words if self.kind is not None else "faults"
        if self.until <= now:
            return f"is being tried by one call after {words}"
        return f"is left alone for {self.until - now:.0f} s after {words}"

    def succeed(self, now: float) -> None:
        """Count a call that the model answered."""
        self.in_a_row = 0
        self.row.clear()
        self.answered += 1
        self.answered_at = now
        self.late.append(None)
        self.outcomes.append(False)

    def is_late_for_few(self, who: str) -> bool:
        """Say whether hardly another item's calls time out than those of `who`: if many do, the model is slow."""
        return len(set(self.late) - {None, who}) <= max(_LATE_OTHERS, _LATE_SHARE * len(self.late))

    def is_its_own(self, who: str | None, kind: ErrorKind) -> bool:
        """Say whether a fault is the own one of whom it struck: again and again, while others were answered."""
        known = self.suspects.get(who or "")
        enough = _OWN_LIMITS if kind in (ErrorKind.RATE, ErrorKind.QUOTA) else _OWN_FAULTS
        return known is not None and known.faults >= enough and self.answered > known.answered

    def fail(
        self,
        kind: ErrorKind,
        now: float,
        *,
        cooldown_s: float,
        retry_after_s: float | None,
        who: str | None = None,
        party: str | None = None,
    ) -> Cooling | None:
        """Count a fault; return what to do about it, if anything.

        `who` was struck: an item, or a job where its request is to blame. What is its own fault stops no model, and
        where one `party` alone was struck a call of another kind decides, soon: the item, or the tenant whose jobs'
        requests are to blame, for one tenant may send any number of jobs.
        """
        self._suspect(who)
        if self.is_its_own(who, kind):
            return None
        if now < self.until and retry_after_s is None:
            # It was under way when the model was first left alone.
            return None
        rule = RULES[kind]
        proving = self.probation and now >= self.until
        if kind is not ErrorKind.RATE:
            self.in_a_row += 1
            self.row.add(party)
            self.outcomes.append(True)
            if not proving and retry_after_s is None and not self._is_enough(rule.patience):
                return None
        asked = retry_after_s is not None
        is_lone = not asked and not proving and rule.probation and len(self.row - {None}) == len(self.row) == 1
        first_s = rule.first_s if rule.first_s is not None else cooldown_s
        longest_s = LONGEST_ASKED_S if asked else max(rule.longest_s, first_s)
        length_s = min(max(retry_after_s, 0.05), longest_s) if retry_after_s is not None else first_s
        length_s = min(length_s, _LONE_S) if is_lone else length_s
        return Cooling(kind, length_s, longest_s, asked, rule.probation, is_lone)

    def is_proven_by(self, error: ErrorKind | None) -> bool:
        """Say whether what came of a probe takes the model back.

        That the provider does not take the probe's own words or way is no outage, unless that was what many met.
        """
        is_about_the_probe = error in (ErrorKind.NOT_FOUND, ErrorKind.BAD_REQUEST)
        return error not in FAULTS or (is_about_the_probe and (self.lone or error is not self.kind))

    def cool(self, kind: ErrorKind, until: float, *, probation: bool, lone: bool = False) -> None:
        """Leave the model alone."""
        self.kind, self.until, self.probation, self.probe_until, self.lone = kind, until, probation, 0.0, lone
        self.in_a_row = 0
        self.row.clear()
        self.outcomes.clear()

    def heal(self) -> None:
        """Take the model back."""
        self.until, self.probation, self.probe_until = 0.0, False, 0.0

    def _suspect(self, who: str | None) -> None:
        if who is None:
            return
        known = self.suspects.pop(who, None)
        # At the end again: who was struck longest ago is forgotten first.
        self.suspects[who] = Suspect(known.faults + 1, known.answered) if known else Suspect(1, self.answered)
        if len(self.suspects) > _SUSPECTS:
            del self.suspects[next(iter(self.suspects))]

    def _is_enough(self, patience: int) -> bool:
        share = sum(self.outcomes) / len(self.outcomes)
        is_row = self.in_a_row >= patience and share >= _IN_A_ROW_SHARE
        return is_row or (len(self.outcomes) >= _ENOUGH and share >= _SHARE)
