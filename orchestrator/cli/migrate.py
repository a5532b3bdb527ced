"""`firstline migrate`: the database at this version's schema."""

import typer

PANEL = "Set up"


def migrate() -> None:
    """Bring the database of FIRSTLINE_DATABASE_URL to this version's schema; run it before a new version starts."""
    from firstline.config.settings import get_settings
    from firstline.orchestrator.store.database import Database
    from firstline.orchestrator.store.migrate import migrate as upgrade

    database = Database(get_settings().database)
    upgrade(database)
    database.close()
    typer.echo("the database is at this version's schema")
