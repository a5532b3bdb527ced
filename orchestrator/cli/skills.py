"""`firstline skills`: the skills there are."""

from orchestrator.cli._options import Json

PANEL = "Set up"


def skills(as_json: Json = False) -> None:
    """List the skills: built-in ones and your own."""
    from config.catalogue import load_catalogue
    from orchestrator.cli._catalogue import show_shelf

    show_shelf(load_catalogue().skills, as_json=as_json)
