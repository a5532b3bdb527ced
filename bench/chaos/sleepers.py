"""Processes that stop and go on as if no time had passed."""

import signal
from collections.abc import Sequence

from bench.chaos.scene import Scene


def _sleep(scene: Scene, names: Sequence[str], seconds: float) -> None:
    with scene.lasting(f"{', '.join(names)} asleep for {seconds:g} s"):
        for name in names:
            scene.deployment.children[name].send(signal.SIGSTOP)
        scene.wait(seconds)
        for name in names:
            scene.deployment.children[name].send(signal.SIGCONT)


def worker_asleep(scene: Scene) -> None:
    """Stop a worker for half a minute, in which its work is given to others."""
    scene.wait_until_share(0.2)
    _sleep(scene, ("worker-cheap-0",), 30)


def orchestrator_asleep(scene: Scene) -> None:
    """Stop an orchestrator, which may be the one that sweeps, for half a minute."""
    scene.wait_until_share(0.2)
    _sleep(scene, ("orchestrator-0",), 30)


def all_asleep(scene: Scene) -> None:
    """Stop workers, orchestrators and provider for a minute, as on a machine that is suspended."""
    scene.wait_until_share(0.3)
    _sleep(scene, tuple(scene.deployment.children), 60)
