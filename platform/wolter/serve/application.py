"""The server: Ray Serve applications of their own behind HAProxy, until interrupted."""

import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from wolter import config as configs
from wolter import local_ray
from wolter.catalogue import demonstration
from wolter.cluster import connect, connected, cores
from wolter.errors import FailedError, InputError
from wolter.network import free_port
from wolter.serve import board, champions, environment, haproxy
from wolter.serve.config import ServeConfig
from wolter.serve.jobs import store as jobs
from wolter.serve.models import ServedRef, choose
from wolter.serve.page import STARTING
from wolter.serve.parts import Part, makes_jobs, page, parts
from wolter.serve.replicas import Dear, Models, Site
from wolter.serve.timing import REQUEST_TIMEOUT_S, SILENT_S

BESIDE = 64  # requests at once in a replica, beside those that its application counts
VERSION = "1"  # of the code of all replicas: models alone change while they run
_EVERY_S = 0.1
_REACHED_S = 30.0  # longest time until HAProxy knows a replica
_DONE = {"RUNNING", "DEPLOY_FAILED", "UNHEALTHY"}


def start(config: ServeConfig) -> str:
    """Serve in the background of this process; returns the URL when the applications answer.

    Raises:
        InputError: a model cannot be served, the port is in use, or the cluster already serves.
        FailedError: HAProxy does not start, or no application comes up.
    """
    from ray import serve

    # Ray Serve reports every step on standard error.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    seen = champions.stamp()  # first: what changes while models load is a change
    chosen = choose(config)
    port = _free_port(config)
    others = parts(config, chosen)
    if not others:
        asked = ", ".join(config.applications)
        raise InputError(f"applications: {asked}: none has a champion or is one of the catalogue's")
    folder = environment.prepare(port)
    connect()
    _make_room()
    host = config.host
    if local_ray.running():  # replicas stay on loopback, HAProxy alone is reached from outside
        environment.set_host(folder, config.host)
        host = local_ray.LOOPBACK
    try:
        champions.stop()  # of a server that was killed
        board.start()
        serve.start(
            http_options={
                "host": host,
                "port": port,
                "request_timeout_s": REQUEST_TIMEOUT_S + 10,  # the applications' own comes first
            }
        )
        url = _bring_up(others, config, chosen, port)
        if not config.models:
            champions.start(config, chosen, seen)
        return url
    except BaseException as error:
        stop()  # a cluster that lives on would serve the half of it
        if alerts := haproxy.alerts(str(error)):
            raise FailedError(f"HAProxy does not start: {alerts}; see `--debug`") from error
        raise


def _bring_up(
    others: Sequence[Part], config: ServeConfig, chosen: Sequence[ServedRef], port: int
) -> str:
    """Deploy the applications, the page first; returns the URL when they answer."""
    first = page(others, config)
    deploy([first], config, chosen)
    _wait([first])  # alone on the cores, so that it says soon what the others wait for
    made = _demonstrate(others)
    deploy(others, config, chosen)
    shown = "127.0.0.1" if config.host == "0.0.0.0" else config.host
    url = f"http://{shown}:{port}"
    _reach(url, _wait(others))
    made.join()
    return url


def _demonstrate(wanted: Sequence[Part]) -> threading.Thread:
    """Make the demonstration of the catalogue, in a thread, if there is no release."""

    def make() -> None:
        try:
            if demonstration.make_current():
                told = "simulated sources answer; `wolter catalogue build` makes your own"
                print(f"no release of a catalogue: {told}", file=sys.stderr, flush=True)
        except (InputError, FailedError) as error:
            print(f"no release of a catalogue: {error}", file=sys.stderr, flush=True)

    # Applications that a builder makes are those of the catalogue.
    asked = any(part.builder for part in wanted)
    thread = threading.Thread(target=make if asked else None)
    thread.start()
    return thread


def deploy(
    wanted: Sequence[Part], config: ServeConfig, chosen: Sequence[ServedRef], version: str = VERSION
) -> None:
    """Start applications, or change those that run.

    Args:
        wanted: the applications.
        config: of the server.
        chosen: the models that they answer with.
        version: of the code; another one replaces the replicas, one after another.
    """
    from ray import serve

    targets = [
        serve.RunTarget(_bound(part, config, chosen, version), part.name, part.prefix)
        for part in wanted
    ]
    if targets:
        serve.run_many(
            targets,
            wait_for_ingress_deployment_creation=False,
            wait_for_applications_running=False,
        )


def _bound(part: Part, config: ServeConfig, chosen: Sequence[ServedRef], version: str) -> Any:
    """An application as Ray Serve takes it."""
    front = configs.to_dict(part.front(config))
    if not part.task:
        options = _options(part.name, part.replicas, cpus=0.1)
        site = _deployment(Site, options, version, ingress=True)
        return site.bind(part.name, part.prefix, part.builder, dict(part.arguments), front)
    from wolter.serve.service import serving_of

    models = [configs.to_dict(each) for each in chosen if each.task == part.task]
    threads = config.cores or cores()
    # A local Ray counts cores that are not there, so that nothing waits for one.
    cpus = 0.1 if local_ray.running() else float(threads)
    options = _options(part.name, part.replicas, cpus) | {"user_config": {"models": models}}
    values = configs.to_dict(config)
    dear = None
    if serving_of(part.task).dear == "some":
        several = options | {"name": f"{part.name}-dear"}
        dear = _deployment(Dear, several, version).bind(part.task, values, threads)
    kept = str(jobs.folder()) if makes_jobs(part.task) else ""
    replica = _deployment(Models, options, version, ingress=True)
    return replica.bind(part.name, part.prefix, part.task, values, threads, front, dear, kept)


def _options(name: str, replicas: int, cpus: float) -> dict[str, Any]:
    return {
        "name": name,
        "num_replicas": replicas,
        "ray_actor_options": {"num_cpus": cpus},
        # Applications themselves count, let in and refuse; health never waits.
        "max_ongoing_requests": 1024,
        "max_constructor_retry_count": 2,
        "graceful_shutdown_timeout_s": REQUEST_TIMEOUT_S,
        "graceful_shutdown_wait_loop_s": 0.2,
    }


def _deployment(replica: type, options: dict[str, Any], version: str, ingress: bool = False) -> Any:
    from ray import serve

    made: Any = serve.deployment(**options)(serve.ingress()(replica) if ingress else replica)
    # By this, other models replace those of a replica, and not the replica.
    return made.options(version=version, _internal=True)


def _wait(wanted: Sequence[Part]) -> list[Part]:
    """Wait until applications have come up or failed; return those that are up.

    Raises:
        FailedError: none is up.
    """
    from ray import serve

    while True:
        found = serve.status().applications
        states = {p.name: found[p.name].status.value for p in wanted if p.name in found}
        if len(states) == len(wanted) and _DONE.issuperset(states.values()):
            break
        time.sleep(_EVERY_S)
    up = [part for part in wanted if states[part.name] == "RUNNING"]
    if wanted and not up:
        told = [each.message for each in found[wanted[0].name].deployments.values()]
        why = " ".join(" ".join(told).split())[-300:]
        raise FailedError(f"{', '.join(states)}: cannot be served ({why}); see `--debug`")
    return up


def _reach(url: str, wanted: Sequence[Part]) -> None:
    """Wait until HAProxy knows applications, and the page has heard of their models."""
    import requests

    until = time.monotonic() + _REACHED_S
    for part in wanted:
        while time.monotonic() < until:
            with contextlib.suppress(requests.RequestException):
                if STARTING not in requests.get(f"{url}{part.prefix}", timeout=10).headers:
                    break
            time.sleep(_EVERY_S)
    # Broken models alone are never ready.
    until = min(until, time.monotonic() + SILENT_S)
    while time.monotonic() < until:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/readyz", timeout=10).status_code == 200:
                break
        time.sleep(_EVERY_S)


def stop() -> None:
    """Stop serving; requests under way end first."""
    from ray import serve

    champions.stop()
    for name in serve.status().applications:
        serve.delete(name, _blocking=False)
    while serve.status().applications:
        time.sleep(_EVERY_S)
    serve.shutdown()
    board.stop()


def run(config: ServeConfig) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, then shut down.

    Raises:
        InputError: a model cannot be served, the port is in use, or the cluster already serves.
        FailedError: no application comes up.
        KeyboardInterrupt: interrupted before it served.
    """
    environment.prepare(config.port)
    try:
        with connected(), _interrupted_once():  # in this order: Ray sets a handler of its own
            url = start(config)
            said = f"serving at {url} (documentation at {url}/docs); interrupt to stop"
            try:
                with contextlib.suppress(KeyboardInterrupt):
                    print(said, flush=True)
                    threading.Event().wait()
                print(f"shutting down, in {environment.DRAIN_S} s or so", flush=True)
            finally:
                stop()
    finally:
        environment.tidy()


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt: the end that follows is whole."""
    both = (signal.SIGINT, signal.SIGTERM)

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        for each in both:
            signal.signal(each, lambda *_: None)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in both}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _make_room() -> None:
    """End an idle Ray Serve, whose port cannot be changed.

    Raises:
        InputError: it is not idle.
    """
    from ray import serve

    status = serve.status()
    if status.applications:
        names = ", ".join(status.applications)
        raise InputError(
            f"this Ray cluster serves {names} already; stop that with `serve shutdown`"
        )
    if status.proxies:
        serve.shutdown()


def _free_port(config: ServeConfig) -> int:
    """The config's port, or a free one; checked here because Ray Serve would only log it."""
    try:
        if not config.port:
            return free_port(config.host)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((config.host, config.port))
    except OSError as error:
        raise InputError(
            f"{config.host}:{config.port}: cannot listen there ({error.strerror}); choose "
            "another --port or --host"
        ) from error
    return config.port
