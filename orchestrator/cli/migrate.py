"""`firstline migrate`: the database at this version's schema."""

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"
NOTED = True


def migrate(as_json: Json = False) -> None:
    """Bring the database of FIRSTLINE_DATABASE_URL to this version's schema; run it before a new version starts."""
    from firstline.config.settings import get_settings
    from firstline.orchestrator.cli._show import show_fields
    from firstline.orchestrator.store.database import Database
    from firstline.orchestrator.store.migrate import migrate as upgrade

    database = Database(get_settings().database)
    upgrade(database)
    database.close()
    show_fields(as_json, "the database is at this version's schema", migrated=True)
