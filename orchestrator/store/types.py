"""Column types."""

from datetime import UTC, datetime

from pydantic_core import to_json
from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator


def json_text(value: object) -> str:
    """Return JSON as both databases take it: what is infinite or no number at all is null there."""
    return to_json(value, inf_nan_mode="null").decode()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on either database; SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a time with its zone, got {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)
