"""How busy the workers of each tier are: what they are scaled by."""

from pydantic import Field

from firstline.schemas.base import Frozen


class TierLoad(Frozen):
    """One tier at this moment."""

    tier: str
    #: Name of its queue: a worker that serves it serves the tier.
    queue: str
    #: Live worker processes.
    workers: int = Field(ge=0)
    #: Calls that they can make at once.
    slots: int = Field(ge=0)
    #: Subtasks in messages that no worker holds yet.
    queued: int = Field(ge=0)
    #: Subtasks in messages that a live worker holds.
    running: int = Field(ge=0)
    #: Seconds that the oldest message which no worker holds has been on its way; None when there is none.
    oldest_s: float | None = None
    #: (queued + running) / slots; None without a worker. What is under way grows with the workers, so it has a ceiling:
    #: some times the slots, however many items wait behind.
    load: float | None = None
    #: Workers whose slots would hold what is queued and running.
    wanted_workers: int = Field(ge=0)


class Scaling(Frozen):
    """Every tier of the deployment's own profile, and those of jobs with another one that have work out."""

    tiers: dict[str, TierLoad]
