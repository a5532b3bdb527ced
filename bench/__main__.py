"""`python -m bench NAME [...]` runs one bench, `python -m bench all [--quick]` all of them, printing every target."""

import json
import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).parent
#: Modules in this folder that are no bench.
_NOT_A_BENCH = ("__init__", "__main__", "bargain_baseline")


def names() -> list[str]:
    """Return the benches that `all` runs: those that print targets."""
    return sorted(
        path.stem
        for path in _FOLDER.glob("*.py")
        if path.stem not in _NOT_A_BENCH and not path.stem.startswith("_") and '"targets"' in path.read_text("utf-8")
    )


def run_all(flags: list[str]) -> int:
    """Run every bench with --json and print its targets; return 1 when one could not be run."""
    broken = 0
    for name in names():
        print(f"== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}", "--json", *flags], capture_output=True, text=True, check=False
        )
        try:
            targets = json.loads(done.stdout[done.stdout.index("{") :])["targets"]
        except (ValueError, KeyError):
            broken += 1
            print(f"could not be run (exit code {done.returncode}): {done.stderr.strip()[-400:]}", flush=True)
            continue
        for target in targets:
            met = {True: "met", False: "NOT met", None: "not measured"}[target["met"]]
            print(f"  {target['name']:<60} {target['value']!s:>14}   target {target['target']!s:<12} {met}", flush=True)
    return 1 if broken else 0


def main(argv: list[str]) -> int:
    """Run what the command line names."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"{__doc__}\n\nbenches: {', '.join(sorted(path.stem for path in _FOLDER.glob('*.py')))}")
        return 0
    if argv[0] == "all":
        return run_all(argv[1:])
    if not (_FOLDER / f"{argv[0]}.py").is_file():
        print(f"there is no bench '{argv[0]}'; there are {', '.join(names())}", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, "-m", f"bench.{argv[0]}", *argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
