"""Tells of a run on recorded answers which of them were written by hand."""

from collections.abc import Iterator
from pathlib import Path

from firstline.orchestrator.reports.formatting import count
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Profile
from firstline.workers.providers.recording import Recording
from firstline.workers.simulator.script import load_script


def scripted_notes(profile: Profile) -> tuple[str, ...]:
    """Return a note for each file of the profile's simulators with answers marked `scripted`.

    There is none where a script or its files cannot be read any more: a report outlives them.
    """
    scripts = [Path(one.source) for one in profile.services if one.kind == "simulator" and one.source]
    return tuple(note for script in scripts for note in _notes(script))


def _notes(script: Path) -> Iterator[str]:
    try:
        marked = {Path(name): _scripted(Path(name)) for name in load_script(script).recordings}
    except (UserError, OSError, ValueError):
        return
    for file, number in marked.items():
        if number:
            yield f"written by hand, not said by a model: {count(number, 'answer')} of the simulator ({file.name})"


def _scripted(file: Path) -> int:
    with file.open(encoding="utf-8") as lines:
        return sum(Recording.model_validate_json(line).scripted for line in lines if '"scripted"' in line)
