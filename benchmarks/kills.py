"""Replicas that are killed under load: what clients lose, and for how long.

    wolter bench kills --json FILE

A server of this process answers, with two replicas of each deployment and then with one; of each
deployment one replica is killed `n` times, while clients ask without a pause. `lost` are answers
that failed (0: no answer) beside `in_flight`, the clients; 503 says that nothing was begun.
`retrying` counts what `wolter.client` lost. `recovery_s` is the time until all replicas are back.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._replicas import (
    CLIENTS,
    Load,
    Request,
    alive,
    asked_of,
    grown,
    say,
    server_of,
    until,
)

from wolter.serve import environment


def run(n: int = 10, only: str = "", replicas: Sequence[int] = (2, 1)) -> dict[str, Any]:
    """Kill a replica of each deployment, again and again.

    Args:
        n: times.
        only: a word in the names of the deployments; empty for all.
        replicas: of each deployment, one server after another.
    """
    found = {}
    for each in replicas:
        with server_of(each) as (url, _), TemporaryDirectory() as name:
            killed = {}
            for deployment, request in asked_of(Path(name)).items():
                if only not in deployment:
                    continue
                killed[deployment] = _killed(url, deployment, request, n)
                say(f"{each} of {deployment}: {json.dumps(killed[deployment])}")
            found[f"replicas_{each}"] = killed
    return found


def _killed(url: str, deployment: str, request: Request, n: int) -> dict[str, Any]:
    import ray

    wanted = len(alive(deployment))
    assert wanted, deployment
    plain, retrying = Load(url, request, False), Load(url, request, True)
    recovery = []
    for _ in range(n):
        until(grown(plain, 1), deployment)
        victim = alive(deployment)[0]
        start = time.perf_counter()
        ray.kill(ray.get_actor(victim, namespace="serve"), no_restart=True)
        until(lambda victim=victim: _back(deployment, victim, wanted), deployment)  # type: ignore[misc]
        until(grown(plain, 1), deployment)
        recovery.append(time.perf_counter() - start)
        say(f"{deployment}: back after {recovery[-1]:.1f} s")
    told, again = plain.end(), retrying.end()
    lost = {status: count for status, count in told.items() if status not in ("200", "429", "503")}
    return {
        "kills": n,
        "in_flight": CLIENTS * n,
        "answers": told,
        "lost": lost,
        "retrying": again,
        "recovery_s": {
            "median": round(sorted(recovery)[n // 2], 1),
            "longest": round(max(recovery), 1),
        },
    }


def _back(deployment: str, victim: str, wanted: int) -> bool:
    from ray import serve

    name, _, part = deployment.partition("#")
    told = serve.status().applications[name].deployments[part]
    return (
        victim not in alive(deployment)
        and told.status.value == "HEALTHY"
        and told.replica_states.get("RUNNING", 0) == wanted
        and _reached(deployment)
    )


def _reached(deployment: str) -> bool:
    """True if HAProxy knows the replicas that are alive; another kill before is a second loss."""
    (config,) = Path(os.environ[environment.FOLDER]).glob("*/c.cfg")
    start = f"SERVE_REPLICA_{deployment.replace('#', '-')}-"
    words = (line.split() for line in config.read_text().splitlines())
    known = {each[1] for each in words if each[:1] == ["server"] and each[1].startswith(start)}
    here = {name.replace("::", "_").replace("#", "-") for name in alive(deployment)}
    return known == here or deployment.endswith("-dear")  # which HAProxy does not ask
