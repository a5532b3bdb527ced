"""What is derived from a skill once and used for all its items."""

from collections.abc import Callable
from typing import Generic, TypeVar

from firstline.schemas.skill import Skill

T = TypeVar("T")

#: Skills remembered by each memo of a process; a worker seldom sees more than a few dozen.
_ROOM = 256


class PerSkill(Generic[T]):
    """Remembers a function's answer by the skill's digest; the oldest goes when there is no room."""

    def __init__(self, derive: Callable[[Skill], T]) -> None:
        self._derive = derive
        self._known: dict[str, T] = {}
        self.__doc__ = derive.__doc__

    def __call__(self, skill: Skill) -> T:
        """Return what is derived from the skill."""
        try:
            return self._known[skill.digest]
        except KeyError:
            return self._remember(skill)

    def _remember(self, skill: Skill) -> T:
        if len(self._known) >= _ROOM:
            # `None`: another thread may have emptied it.
            self._known.pop(next(iter(self._known)), None)
        return self._known.setdefault(skill.digest, self._derive(skill))
