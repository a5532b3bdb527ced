"""Path and query parameters that several resources share."""

from typing import Annotated

from fastapi import Path, Query

from firstline.config.catalogue.catalogue import is_path
from firstline.schemas.errors import UserError

#: No path, no control characters: the API names what is in the catalogue and reads no other file.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"

JobId = Annotated[str, Path(pattern=r"^[0-9A-Za-z-]{1,40}$", description="The job's id.")]
ItemNumber = Annotated[int, Path(ge=-1, le=2**31 - 1, description="The item's number, from 0; -1 is the whole job.")]
Name = Annotated[str, Path(pattern=NAME, description="Its name in the catalogue.")]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]


def plain_name(name: str) -> str:
    """Return a name of the catalogue; UserError for a path."""
    if is_path(name):
        raise UserError(f"expected a name of the catalogue, got the path '{name}'; the API opens no files by path")
    return name
