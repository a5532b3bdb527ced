"""Sends a deployment's API whatever its description lets somebody think of, in all of schemathesis' phases.

    python -m bench.schemathesis [--minutes N] [--quick] [--json] [--seed N]

A real web process with workers behind it, an administrator's token, positive and negative data, states (what one answer
names is asked for next). Prints what failed, with the requests that show it, and {"targets": [...]} with --json.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.kit.figures import at_least, at_most, finish, machine, parser, show
from tests.acceptance.web_deployment import WebDeployment, web_deployment

PHASES = "examples,coverage,fuzzing,stateful"
#: What counts as kept although schemathesis would call it broken, and why: all that is excused stands here.
EXCUSED = """
[checks.positive_data_acceptance]
# What a schema cannot say (a name of the catalogue, a workflow or a goal but not both, a job that has ended) is refused
# with 422, 404 or 409, and with 400 where clients of the OpenAI API look for that; a model that cannot be asked is 502
# or 503, one that takes too long 504.
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422", "502", "503", "504"]
"""


def run(web: WebDeployment, folder: Path, *, seconds: int, seed: int | None) -> tuple[dict[str, Any], str]:
    """Return schemathesis' report, and what it printed."""
    rules, report = folder / "schemathesis.toml", folder / "report.json"
    rules.write_text(EXCUSED)
    argv = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(rules), "run", f"{web.url}/openapi.json"]
    argv += ["--header", f"Authorization: Bearer {web.token}", "--phases", PHASES, "--max-time", str(seconds)]
    argv += ["--report", "json", "--report-json-path", str(report), "--continue-on-failure", "--no-color"]
    argv += ["--generation-database", "none", "--request-timeout", "60", "--suppress-health-check", "all"]
    argv += [] if seed is None else ["--seed", str(seed)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder, timeout=seconds * 2 + 300)
    if not report.exists():
        raise RuntimeError(f"schemathesis made no report (exit code {done.returncode}): {done.stdout}{done.stderr}")
    found = json.loads(report.read_text("utf-8"))
    if not found["operations"]["total"]:
        raise RuntimeError(f"schemathesis could not read the API's description: {done.stdout}{done.stderr}")
    return found, done.stdout


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("schemathesis", __doc__ or "", "a minute")
    made.add_argument("--minutes", type=float, default=10.0)
    made.add_argument("--seed", type=int, help="of a run that is to be made again")
    options = made.parse_args(argv)
    seconds = 60 if options.quick else round(options.minutes * 60)
    seen = machine()
    show(seen, options)
    settings = {
        "FIRSTLINE_API_REQUESTS_PER_MINUTE": "1000000",
        "FIRSTLINE_API_ANSWER_S": "3",
        "FIRSTLINE_LOG_LEVEL": "WARNING",
    }
    with (
        tempfile.TemporaryDirectory(prefix="firstline-bench-") as name,
        web_deployment(Path(name), **settings) as web,
    ):
        web.submit("triage", 2)
        report, printed = run(web, Path(name), seconds=seconds, seed=options.seed)
        bugs = (Path(name) / "web.log").read_text("utf-8").count("web.bug")
    show(printed, options)
    ran = [phase for phase, how in report["phases"].items() if how["status"] != "skip"]
    targets = [
        at_most("what fails and is not explained", report["test_cases"]["unique_failures"], 0, digits=0),
        at_most("errors of the web process in its log", bugs, 0, digits=0),
        at_least("operations that were asked for, of those described", _share(report["operations"]), 1.0),
    ]
    figures = {"phases": ran, "cases": report["test_cases"], "seed": report["seed"], "failures": report["failures"]}
    return finish({"bench": "schemathesis", "machine": seen, "targets": targets, **figures}, options)


def _share(operations: dict[str, Any]) -> float:
    return float(operations["tested"]) / float(operations["total"])


if __name__ == "__main__":
    sys.exit(main())
