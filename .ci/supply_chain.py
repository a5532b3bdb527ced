"""What the image installs: known holes, licences, and a bill of materials, from the lock file.

python .ci/supply_chain.py [SBOM.json]

Needs the extra `supply` (pip-audit, cyclonedx-bom). Ends with 1 for a known hole or a licence that will not do; says so
where no database of holes could be reached, or a package is not installed here and its licence unknown.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

LOCK = Path(__file__).parents[1] / "config" / "requirements.lock"
#: Licences that bind whoever runs or ships the image; the LGPL does not, as its packages are used unchanged.
_BINDING = re.compile(
    r"\b(AGPL|(?<!L)GPL|SSPL|BUSL|Affero|Commons Clause|Proprietary|(?<!Lesser )General Public License)", re.I
)


def pinned() -> Iterator[str]:
    """Yield the packages of the lock file."""
    yield from dict.fromkeys(re.findall(r"^([\w.-]+)==", LOCK.read_text("utf-8"), flags=re.MULTILINE))


def licence_of(package: str) -> str | None:
    """Return a package's licences as its metadata says; None: it is not installed."""
    try:
        told = metadata(package)
    except PackageNotFoundError:
        return None
    if said := told.get("License-Expression"):
        return str(said)
    lines = (line for line in told.get_all("Classifier") or () if line.startswith("License ::"))
    classifiers = [line.rpartition(" :: ")[2] for line in lines]
    # Some put the whole text into the field.
    return "; ".join(classifiers) or str(told.get("License") or "").strip().partition("\n")[0] or "no licence named"


def wrong_licences() -> list[str]:
    """Return a sentence for each package whose every licence binds; say which are not known here."""
    known = {package: licence_of(package) for package in pinned()}
    absent = sorted(package for package, licence in known.items() if licence is None)
    print(f"licences: {len(known) - len(absent)} packages looked at; not installed here: {', '.join(absent) or 'none'}")
    bad = {package: said for package, said in known.items() if said and all(map(_BINDING.search, _choices(said)))}
    return [f"{package}: {said}" for package, said in bad.items()]


def _choices(licence: str) -> list[str]:
    """Return what one may choose among."""
    return re.split(r"\bOR\b|; ", licence)


def holes() -> list[str]:
    """Return the known holes of what is pinned; say where no database was reached."""
    flags = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    command = ["pip-audit", "--requirement", str(LOCK), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"pip-audit: SKIPPED, no database could be reached: {done.stderr.strip()[-200:]}")
        return []
    looked_up = [one for one in found if "skip_reason" not in one]
    if not looked_up:
        print(f"pip-audit: SKIPPED, the database that was reached knows none of {len(found)} packages")
    else:
        print(f"pip-audit: {len(looked_up)} of {len(found)} packages looked up")
    return [f"{one['name']} {one['version']}: {hole['id']}" for one in looked_up for hole in one["vulns"]]


def write_sbom(file: Path) -> None:
    """Write the bill of materials in CycloneDX's JSON, without anything of this machine."""
    command = ["cyclonedx-py", "requirements", str(LOCK), "--of", "JSON", "--output-reproducible", "-o", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    print(f"SBOM: {len(json.loads(file.read_text('utf-8'))['components'])} components in {file}")


def main() -> int:
    """Look at everything; return 1 where something will not do."""
    if len(sys.argv) > 1:
        write_sbom(Path(sys.argv[1]))
    wrong = [*wrong_licences(), *holes()]
    for sentence in wrong:
        print(f"WILL NOT DO  {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
