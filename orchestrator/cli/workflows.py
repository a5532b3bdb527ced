"""`firstline workflows`: the workflows there are."""

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"


def workflows(as_json: Json = False) -> None:
    """List the workflows: built-in ones and your own."""
    from firstline.config.catalogue.catalogue import load_catalogue
    from firstline.orchestrator.cli._catalogue import show_shelf

    show_shelf(load_catalogue().workflows, as_json=as_json)
