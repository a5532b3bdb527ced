"""`firstline workflows`: the workflows there are."""

from orchestrator.cli._options import Json

PANEL = "Set up"


def workflows(as_json: Json = False) -> None:
    """List the workflows: built-in ones and your own."""
    from config.catalogue import load_catalogue
    from orchestrator.cli._catalogue import show_shelf

    show_shelf(load_catalogue().workflows, as_json=as_json)
