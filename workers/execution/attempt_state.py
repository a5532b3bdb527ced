"""How far a subtask has come on one tier."""

from dataclasses import dataclass, field
from typing import Self

from firstline.schemas.attempt import Attempt, ErrorKind
from firstline.schemas.batch import Left, Settled, Todo, progress_of
from firstline.schemas.verdict import Accept, Parked
from firstline.workers.execution.subtask import Outcome
from firstline.workers.prompts.prompt import ToolRound


@dataclass(slots=True)
class AttemptState:
    """What changes while a subtask is tried."""

    step: str
    #: Number of the next attempt.
    n: int
    #: Attempts used on this tier.
    used: int
    feedback: tuple[str, ...]
    effort: str | None
    #: The text that was refused last.
    previous: str | None = None
    #: By how much a bound on the answer's tokens is to be larger than declared: it was reached.
    room: int = 1
    #: What the model asked of tools so far, and was told.
    rounds: list[ToolRound] = field(default_factory=list)
    #: Its answer in a pack was no good: it is asked alone.
    alone: bool = False
    #: How often every model of the tier has failed on it, weighed, and how many calls timed out for it alone.
    faults: int = 0
    #: Models that failed on their own account since the last answer, and what they failed of.
    avoid: dict[str, ErrorKind] = field(default_factory=dict)
    #: Models whose calls timed out for it alone since the last answer.
    late: set[str] = field(default_factory=set)
    #: Models whose context window is too small for it.
    small: set[str] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)

    @classmethod
    def of(cls, todo: Todo) -> Self:
        """Return the state that a todo goes on with."""
        return cls(todo.step, **progress_of(todo))

    def add(self, attempt: Attempt, *, verdict: str, reason: str, **changes: object) -> None:
        """Record an attempt with what followed from it."""
        self.attempts.append(attempt.model_copy(update={**changes, "verdict": verdict, "reason": reason}))

    def end(self, verdict: Accept | Parked) -> Outcome:
        """Return the outcome of a subtask whose last attempt was accepted, or that is left to others."""
        if isinstance(verdict, Accept):
            last = self.attempts[-1]
            return Outcome(tuple(self.attempts), Settled(step=self.step, n=last.n, value=last.value))
        return Outcome(tuple(self.attempts), Left(step=self.step, verdict=verdict, **progress_of(self)))
