"""A job under a scenario, and what became of it, beside its targets."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.chaos.deaths import clock_jumps, clock_steady
from bench.chaos.rest import HELD, Rest, come_to_rest, rise
from bench.chaos.scene import LATENCY_S, STEPS, Blow, Scene, Stage
from firstline.orchestrator import api
from firstline.schemas.errors import InfrastructureError
from tests.acceptance.workload import Findings, Paid, check, items, request
from tests.servers import Missing

Scenario = Callable[[Scene], None]

#: A library under every call for the time is no part of the other scenarios.
CLOCKED = (clock_steady, clock_jumps)
#: By how many a process may hold more of each after rounds without being called leaking: pools are not full at once.
SLACK = {"threads": 2, "connections": 4, "files": 4}
#: Seconds from a blow, or from the end of one that lasts, until the job goes on.
SILENCE_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """One scenario's figures."""

    name: str
    seconds: float
    findings: Findings
    blows: tuple[Blow, ...]
    in_flight: int
    rest: Rest | None
    #: Longest time from a blow, or its end, to the next batch that is judged: the job goes on.
    silence_s: float | None
    #: Longest time from a worker's death to the next call on its tier, which may have had nothing to do meanwhile.
    tier_silence_s: float | None
    error: str | None = None
    #: Figures of the scenario's own, with the most that each may be; and what is worth a line.
    figures: tuple[tuple[str, float, float], ...] = ()
    notes: tuple[str, ...] = ()


def play(scenario: Scenario, stage: Stage, count: int) -> Outcome:
    """Run one job under one scenario and look at what became of it."""
    deployment = stage.deployment
    first_line, profile = len(deployment.paid()), deployment.profile()
    begun = time.monotonic()
    job = api.submit(
        request(profile, steps=STEPS, name=scenario.__name__.replace("_", "-")), items(count, of=scenario.__name__)
    )
    scene = Scene(stage, job, first_line, count)
    with ThreadPoolExecutor(1) as actors:
        acting = actors.submit(scenario, scene)
        _follow(job, limit_s=150 + 0.2 * count)
        seconds = time.monotonic() - begun
        scene.ended.set()
    missing = acting.exception()
    if missing is not None and not isinstance(missing, Missing):
        raise missing
    rest = come_to_rest(stage)
    # A call whose answer came too late is still in the log of the provider, and its trail on the way.
    time.sleep(2)
    paid = scene.paid()
    findings = check(deployment.database_url, job, paid, steps=STEPS, profile=profile)
    flying = sum(blow.in_flight(paid) for blow in scene.blows)
    blows = tuple(scene.blows)
    # Where clocks jump, the provider's is the only one that is right.
    signs = [float(call["at"]) for call in paid] if scenario in CLOCKED else findings.judged_at
    silence_s, tier_silence_s = _silence(blows, signs, after_s=0.5), _tier_silence(blows, paid)
    return Outcome(
        scenario.__name__,
        seconds,
        findings,
        blows,
        flying,
        rest,
        silence_s,
        tier_silence_s,
        None if missing is None else f"skipped: {missing}",
        tuple(scene.figures),
        tuple(scene.notes),
    )


def _follow(job: str, *, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            if api.status(job).state.ended:
                return
        except InfrastructureError:
            pass
        time.sleep(0.2)


def _silence(blows: tuple[Blow, ...], signs: Sequence[float], *, after_s: float) -> float | None:
    """Return the longest time from a blow to the next sign of life; blows that fell at the very end show none."""
    found = [
        min(later) - blow.behind for blow in blows if (later := [at for at in signs if at > blow.behind + after_s])
    ]
    return max(found, default=None)


def _tier_silence(blows: tuple[Blow, ...], paid: Paid) -> float | None:
    """Return the longest time from a worker's death to the beginning of the next call on its tier."""
    begun = {
        tier: [float(call["at"]) - LATENCY_S for call in paid if call["model"] == tier]
        for tier in {blow.tier for blow in blows if blow.tier}
    }
    found = [_silence((blow,), begun[blow.tier], after_s=0.1) for blow in blows if blow.tier]
    return max((one for one in found if one is not None), default=None)


def targets(outcomes: list[Outcome], *, rounds: int = 1) -> list[dict[str, object]]:
    """Return every figure with its target; what processes hold is looked at in each scenario's last rounds."""
    seconds = {one.name: one.seconds for one in outcomes}
    found: list[dict[str, object]] = []
    for one in outcomes:
        if one.error:
            found.append({"name": f"{one.name}", "value": one.error, "target": "played", "met": None})
            continue
        what, seen = one.name, one.findings
        found += [
            _target(f"{what}: items lost", seen.lost, 0),
            _target(f"{what}: settled twice", seen.settled_twice, 0),
            _target(f"{what}: steps without an answer", seen.unsettled_steps, 0),
            _target(f"{what}: calls paid twice", seen.paid_twice, one.in_flight, why="calls in flight"),
            _target(f"{what}: paid calls not on record", seen.unrecorded, one.in_flight, why="calls in flight"),
            _target(f"{what}: dollars off", round(seen.off_usd, 9), 1e-6),
        ]
        if one.silence_s is not None:
            found.append(_target(f"{what}: longest silence, s", round(one.silence_s, 1), SILENCE_S))
        found += [
            _target(f"{what}: processes that do not answer at rest", one.rest.mute, 0),
            _target(f"{what}: processes that take no messages at rest", one.rest.deaf, 0),
            _target(f"{what}: messages held at rest", one.rest.held, 0),
        ]
        found += [_target(f"{what}: {name}", value, limit) for name, value, limit in one.figures]
        calm = seconds.get("clock_steady" if one.name == "clock_jumps" else "undisturbed")
        if calm is not None and one.name not in ("undisturbed", "clock_steady"):
            lasting_s = sum(blow.behind - blow.at for blow in one.blows)
            limit = 1.5 * calm + lasting_s + 10 * max(1, len(one.blows))
            found.append(_target(f"{what}: total time, s", round(one.seconds, 1), round(limit, 1)))
    of_each = {one.name: [other for other in outcomes if other.name == one.name][-rounds:] for one in outcomes}
    return found + [rise for last in of_each.values() for rise in _rises(last)]


def is_steady(outcomes: Sequence[Outcome]) -> bool:
    """Say whether no process holds more after the last of a scenario's rounds than after the first of them."""
    return all(target["met"] for target in _rises(outcomes))


def _rises(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return what processes hold more after the last of several rounds of a scenario than after the first."""
    found = []
    for name in dict.fromkeys(one.name for one in outcomes):
        rests = [one.rest for one in outcomes if one.name == name and one.rest is not None]
        if len(rests) < 2:
            continue
        for what in HELD:
            more, process = rise(rests, what)
            shown = " ".join(str(getattr(rest.footprints[process], what)) for rest in rests)
            found.append(_target(f"{name}: {len(rests)} rounds: {what} more in {process} ({shown})", more, SLACK[what]))
    return found


def _target(name: str, value: float, limit: float, *, why: str = "") -> dict[str, object]:
    return {"name": name, "value": value, "target": f"<= {limit}{f' ({why})' if why else ''}", "met": value <= limit}


_MARKS: dict[object, str] = {None: "-", True: "ok", False: "NO"}


def line(one: Outcome) -> str:
    seen = one.findings
    return (
        f"{one.name}: {one.error or ''} {one.seconds:.1f} s, {len(one.blows)} blows, state {seen.state}, "
        f"lost {seen.lost}, paid {seen.paid}, twice {seen.paid_twice} (in flight {one.in_flight}), "
        f"unrecorded {seen.unrecorded}, silence {_shown(one.silence_s)} (a tier: {_shown(one.tier_silence_s)}), "
        f"off {seen.off_usd:.9f}, {one.rest}" + "".join(f"\n    {note}" for note in one.notes)
    )


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
