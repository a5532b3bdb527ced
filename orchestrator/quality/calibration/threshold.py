"""A calibrated threshold: what is asked for, and the value that `firstline calibrate` answers with."""

from dataclasses import dataclass
from enum import StrEnum

from firstline.schemas.base import Frozen


@dataclass(frozen=True)
class Target:
    """At most `max_loss` of all items lost, with probability `1 - delta`; both between 0 and 1."""

    max_loss: float
    delta: float


class Promise(StrEnum):
    """What a certificate speaks of."""

    #: All items of the file, labelled or not, and no others.
    ITEMS = "items"
    #: The source that the items come from, hence the next items too; asks for more of the labels.
    SOURCE = "source"


class Calibration(Frozen):
    """From which confidence on cheap answers are accepted, and what is guaranteed by it.

    With probability `1 - delta` over the draw of the labelled sample, at most `certified_max_loss` of all items are
    accepted from the cheap tier although they are lost (cheap wrong, frontier right).
    """

    method: str
    #: Accept at this confidence or above. None: nothing could be certified, so everything escalates.
    threshold: float | None
    #: Labels that were looked at; may be fewer than allowed.
    labels_used: int
    #: Share of the file's items, labelled or not, that fall below the threshold.
    expected_frontier_share: float
    #: None where nothing is certified.
    certified_max_loss: float | None
    delta: float
