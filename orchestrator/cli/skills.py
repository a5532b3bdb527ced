"""`firstline skills`: the skills there are."""

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"


def skills(as_json: Json = False) -> None:
    """List the skills: built-in ones and your own."""
    from firstline.config.catalogue.catalogue import load_catalogue
    from firstline.orchestrator.cli._catalogue import show_shelf

    show_shelf(load_catalogue().skills, as_json=as_json)
