"""The schema's revisions."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from firstline.orchestrator import store


def test_the_revisions_are_one_chain():
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert len(scripts.get_heads()) == 1, "two revisions follow the same one; let the later follow the other"
    assert len(scripts.get_bases()) == 1
