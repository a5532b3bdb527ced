"""The catalogue as it stands now, read again only when one of its files has changed."""

from functools import lru_cache
from pathlib import Path

from firstline.config.catalogue.catalogue import BUILT_IN, Catalogue, load_catalogue, tenant_homes
from firstline.config.catalogue.file_kinds import FOLDERS
from firstline.config.settings import get_settings

#: Path, time of the last change, and size of a file.
_Mark = tuple[str, int, int]


def current_catalogue(tenant: str | None) -> Catalogue:
    """Return what a tenant may name, by this process's settings; None: what all may."""
    homes = get_settings().homes
    own = tenant_homes(homes, tenant) if tenant is not None else ()
    marks = tuple(mark for home in (BUILT_IN, *homes, *own) for mark in _marks(home))
    # Tenants without files of their own share what is loaded.
    return _loaded(tuple(home.absolute() for home in homes), tenant if own else None, marks)


@lru_cache(maxsize=32)
def _loaded(homes: tuple[Path, ...], tenant: str | None, _marks: tuple[_Mark, ...]) -> Catalogue:
    return load_catalogue(homes, tenant=tenant)


def _marks(home: Path) -> list[_Mark]:
    files = (file for folder in FOLDERS for file in sorted((home / folder).glob("*.y*ml")))
    return [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
