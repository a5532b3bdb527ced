"""Every kind of token that a provider bills, the service tier it was billed on, and which items climbed."""

import sqlalchemy as sa
from alembic import op

revision = "0002_tokens"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTS = (
    "cache_write_tokens",
    "cache_write_long_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "searches",
)
#: Errors by which a provider turned a call away: they cost nothing, and were on record as unknown.
_REFUSED = ("rate", "quota", "auth", "bad_request", "not_found", "context_length")


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("attempt") as table:
        for name in _COUNTS:
            table.add_column(sa.Column(name, sa.Integer(), nullable=True))
        table.add_column(sa.Column("service_tier", sa.String(), nullable=True))
    with op.batch_alter_table("item") as table:
        table.add_column(sa.Column("climbed", sa.Boolean(), nullable=True))
    attempt = sa.table("attempt", *(sa.column(name) for name in ("error", "input_tokens", "cost_usd", "price_source")))
    refused = attempt.update().where(
        attempt.c.error.in_(_REFUSED), attempt.c.cost_usd.is_(None), attempt.c.input_tokens.is_(None)
    )
    op.execute(refused.values(cost_usd=0.0, price_source="refused"))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("item") as table:
        table.drop_column("climbed")
    with op.batch_alter_table("attempt") as table:
        for name in (*_COUNTS, "service_tier"):
            table.drop_column(name)
