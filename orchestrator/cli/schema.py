"""`firstline schema`: what editors need to complete and to check the YAML files."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"

_KIND = Literal["skill", "workflow", "profile", "tool", "job"]


def schema(
    kind: Annotated[
        _KIND | None, typer.Argument(metavar="[KIND]", help="skill, workflow, profile, tool or job.")
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Write KIND.schema.json there, all of them without KIND."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the JSON Schema of a kind of file, or write them into a folder, for editors that complete YAML.

    A first line such as `# yaml-language-server: $schema=schemas/skill.schema.json` names one to the editor.
    """
    from firstline.config.catalogue.file_kinds import FileKind
    from firstline.config.catalogue.file_schemas import file_schema
    from firstline.orchestrator.cli._show import show_fields
    from firstline.schemas.errors import UserError

    kinds = [FileKind(kind)] if kind else list(FileKind)
    if out is None and kind is None:
        raise UserError(f"expected one of {', '.join(kinds)}, or --out FOLDER for all of them")
    texts = {one: f"{json.dumps(file_schema(one), indent=2, ensure_ascii=False)}\n" for one in kinds}
    if out is None:
        typer.echo(texts[kinds[0]], nl=False)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for one, text in texts.items():
            (out / f"{one}.schema.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from None
    files = [str(out / f"{one}.schema.json") for one in texts]
    show_fields(as_json, "\n".join(files), files=files)
