"""The catalogue as it stands now, read again only when one of its files has changed."""

from functools import lru_cache
from pathlib import Path

from firstline.config.catalogue.catalogue import BUILT_IN, Catalogue, load_catalogue
from firstline.config.catalogue.file_kinds import FOLDERS
from firstline.config.settings import get_settings

#: Path, time of the last change, and size of a file.
_Mark = tuple[str, int, int]


def current_catalogue() -> Catalogue:
    """Return the catalogue of this process's settings."""
    homes = get_settings().homes
    marks = tuple(mark for home in (BUILT_IN, *homes) for mark in _marks(home))
    return _loaded(tuple(home.absolute() for home in homes), marks)


@lru_cache(maxsize=1)
def _loaded(homes: tuple[Path, ...], _marks: tuple[_Mark, ...]) -> Catalogue:
    return load_catalogue(homes)


def _marks(home: Path) -> list[_Mark]:
    files = (file for folder in FOLDERS for file in sorted((home / folder).glob("*.y*ml")))
    return [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
