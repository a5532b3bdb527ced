"""`firstline signing-key`: the key of a tier's workers, which lets them speak for their tier alone."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"


def signing_key(
    queues: Annotated[list[str], typer.Argument(metavar="QUEUE...", help="Queues of tiers that the workers serve.")],
    *,
    as_json: Json = False,
) -> None:
    """Print what FIRSTLINE_SIGNING_KEY of the workers of these queues is, from the one of this deployment."""
    from firstline.config.queues.signing import derived, keyring
    from firstline.config.settings import get_settings
    from firstline.orchestrator.cli._show import show_fields
    from firstline.schemas.errors import UserError

    settings = get_settings()
    ring = keyring(settings.namespace, settings.signing_key.get_secret_value()) if settings.signing_key else None
    if ring is None or ring.master is None:
        raise UserError(
            "FIRSTLINE_SIGNING_KEY: expected the key of the whole deployment, from which those of queues follow; make "
            "one with `openssl rand -hex 32`"
        )
    master = ring.master
    key = ",".join(f"{queue}:{derived(master, queue).decode()}" for queue in queues)
    show_fields(as_json, key, signing_key=key)
