"""`firstline models`: the models that run on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"

app = typer.Typer(help="Fetch, list and serve models that run on this machine.", no_args_is_help=True)


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models by name; all when missing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch local models, checked against their hashes; goes on where it was stopped."""
    from firstline.orchestrator.cli._pulling import pull_all

    pull_all(names or [], as_json=as_json)


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the known local models and where their files are."""
    from firstline.config.settings import get_settings
    from firstline.orchestrator.cli._show import show_fields, show_table
    from firstline.workers.local_models.catalogue import CATALOGUE, installed

    found = installed(get_settings().models_home)
    if as_json:
        files = {name: str(found[name]) if name in found else None for name in CATALOGUE}
        show_fields(as_json, "", **files)
        return
    rows = [(name, found.get(name, "not pulled"), model.description) for name, model in CATALOGUE.items()]
    show_table(("model", "file", "what it is"), rows)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or the path of a GGUF file.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads.")] = None,
) -> None:
    """Serve a local model over an OpenAI-compatible API until stopped."""
    from firstline.orchestrator.cli._process import become

    source = str(Path(model).absolute()) if model.endswith(".gguf") else model
    more = ("--threads", str(threads)) if threads else ()
    become("firstline.workers.local_models.server", "--model", source, "--port", str(port), *more)
