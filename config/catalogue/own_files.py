"""The user's own skills, workflows, profiles and tools as files: checked, then written whole or not at all."""

import os
import secrets
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.file_kinds import FOLDERS, FileKind
from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.config.errors.error_messages import ConfigError
from firstline.config.settings import OWN_FOLDER, get_settings
from firstline.schemas.errors import UserError


def own_folder() -> Path:
    """Return the folder that the user's own files are written to: FIRSTLINE_HOME, else `./firstline`."""
    return get_settings().home or OWN_FOLDER


def save_own(catalogue: Catalogue, kind: FileKind, name: str, text: str) -> Path:
    """Write a file of the user's own and return it; one with the name of a built-in one is used instead of that.

    ConfigError holds every fault of the text, with its line; nothing is written then.
    """
    known = catalogue.shelves[kind].entries.get(name)
    folder = next(folder for folder, its_kind in FOLDERS.items() if its_kind is kind)
    file = known.file if known and not known.built_in else own_folder() / folder / f"{name}.yaml"
    document = parse_yaml(text.encode(), file)
    entry = catalogue.entry(document, kind)
    if entry.problems:
        raise ConfigError(entry.problems)
    if entry.name != name:
        raise UserError(f"the file names itself '{entry.name}', expected '{name}'; rename one of the two")
    _write(file, text)
    return file


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{file} cannot be written ({error.strerror}); check the folder's permissions") from None
