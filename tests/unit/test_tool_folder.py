"""A search tool's folder stands beside the file that declares the tool, wherever the run is started."""

from pathlib import Path

from config.catalogue import Catalogue


def declare(home: Path, text: str) -> Path:
    file = home / "tools" / "papers.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    return file


def test_a_relative_folder_is_seen_from_the_declaring_file(tmp_path):
    declare(tmp_path, "kind: search\noptions: {folder: ../texts, top_k: 3}\n")
    options = Catalogue([tmp_path]).tool("papers").options
    assert options == {"folder": str((tmp_path / "texts").resolve()), "top_k": 3}


def test_an_absolute_folder_and_a_tool_without_one_stay_as_they_are(tmp_path):
    declare(tmp_path, f"kind: search\noptions: {{folder: {tmp_path.resolve()}}}\n")
    (tmp_path / "tools" / "sums.yaml").write_text("kind: function\noptions: {path: 'sums:add'}\n", encoding="utf-8")
    catalogue = Catalogue([tmp_path])
    assert catalogue.tool("papers").options == {"folder": str(tmp_path.resolve())}
    assert catalogue.tool("sums").options == {"path": "sums:add"}
