"""Who may do what over the API: roles, and the tokens that carry them."""

from datetime import datetime
from enum import StrEnum

from firstline.schemas.base import Frozen


class Role(StrEnum):
    """What a token may do; each role may also do what the ones above it may."""

    #: Look at its tenant's jobs.
    VIEWER = "viewer"
    #: Submit jobs.
    SUBMITTER = "submitter"
    #: Steer jobs: pause, cancel, raise budgets, approve plans, answer reviews.
    OPERATOR = "operator"
    #: Everything, for every tenant: models, skills and workflows, tools of one's own.
    ADMIN = "admin"

    def covers(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Token(Frozen):
    """A token as it is listed; what is secret about it was shown once, when it was made."""

    id: str
    name: str
    role: Role
    tenant: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    #: To the minute.
    last_used_at: datetime | None = None
