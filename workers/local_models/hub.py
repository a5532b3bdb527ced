"""The Hugging Face hub as a source of models: the makers' own repositories, checked by the hub's own SHA-256."""

import importlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from firstline.workers.local_models.catalogue import HubFile, LocalModel
from firstline.workers.local_models.source import Progress, Unreachable, settle

_SOURCE = "the Hugging Face hub"
_PROBE_TIMEOUT_S = 5.0


def from_hub(model: LocalModel, folder: Path, progress: Progress, *, endpoint: str | None = None) -> Path | Unreachable:
    """Download a model's official file; an interrupted download goes on where it stopped.

    `endpoint` is the hub's address, by default the one that huggingface_hub is set to (`HF_ENDPOINT`).
    """
    try:
        from huggingface_hub import constants
    except ImportError:
        return Unreachable(source=_SOURCE, reason="huggingface_hub is not installed (pip install 'firstline[local]')")
    if constants.HF_HUB_OFFLINE:
        return Unreachable(source=_SOURCE, reason="HF_HUB_OFFLINE is set")
    try:
        return _download(model, folder, progress, endpoint or constants.ENDPOINT)
    except httpx.HTTPError as error:
        return Unreachable(source=_SOURCE, reason=f"{type(error).__name__}: {error}".strip())


def _download(model: LocalModel, folder: Path, progress: Progress, endpoint: str) -> Path:
    from huggingface_hub import hf_hub_download

    file = model.hub
    httpx.head(f"{endpoint}/api/models/{file.repo}", timeout=_PROBE_TIMEOUT_S, follow_redirects=True).raise_for_status()
    sha256 = _published_sha256(file, endpoint)
    work = folder / f".{model.name}.hub"
    bar = _bar(partial(progress, f"{model.name} from {_SOURCE}"))
    came = hf_hub_download(file.repo, file.file_name, local_dir=work, tqdm_class=bar, endpoint=endpoint)
    path = settle(Path(came), folder / file.file_name, sha256=sha256)
    shutil.rmtree(work, ignore_errors=True)
    return path


def _published_sha256(file: HubFile, endpoint: str) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    for info in HfApi(endpoint=endpoint).get_paths_info(file.repo, [file.file_name]):
        if isinstance(info, RepoFile) and info.lfs is not None:
            return info.lfs.sha256
    raise httpx.RequestError(f"{file.repo} publishes no SHA-256 for {file.file_name}")


def _bar(report: Callable[[int, int | None], None]) -> type[Any]:
    """Return a progress bar class that draws nothing and reports instead."""
    # By name, since tqdm (which huggingface_hub brings along) has no types.
    tqdm = importlib.import_module("tqdm.std").tqdm

    def display(bar: Any, *_args: Any, **_options: Any) -> None:
        report(int(bar.n), None if bar.total is None else int(bar.total))

    return type("ReportingBar", (tqdm,), {"display": display})
