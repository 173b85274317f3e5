"""The Ray Serve application: start it, run it until interrupted."""

import logging
import os
import signal
import socket
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from wolter import config as configs
from wolter import local_ray
from wolter.cluster import connect, connected
from wolter.errors import InputError
from wolter.memory import keep_freed
from wolter.serve.config import REQUEST_TIMEOUT_S, ServeConfig
from wolter.serve.models import ServedRef, choose
from wolter.serve.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI

NAME = "wolter"
# Where Ray's HTTP proxy finds what it answers itself; a Ray that runs already must know it before.
EDGE = ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "wolter.serve.edge:middlewares")
NICE = 5  # of the work, so that the proxy tells that we live whatever the load
BESIDE = 64  # requests for health and documentation at once, beside those that are counted


class Inference:
    """A replica: all models, and the processes that read uploads."""

    def __init__(self, chosen: list[dict[str, Any]], config: dict[str, Any]) -> None:
        keep_freed()
        local_ray.close_replica()
        from ray import serve

        limits = configs.from_dict(ServeConfig, config)
        join = serve.batch(max_batch_size=limits.max_ongoing, batch_wait_timeout_s=0.0)
        models = [configs.from_dict(ServedRef, each) for each in chosen]
        self.service = Service.load(models, limits, join)
        self.service.start()

    def __serve_build_asgi_app__(self) -> "FastAPI":
        """Called by Ray Serve for the application that answers HTTP."""
        from wolter.serve.api import build_app

        return build_app(self.service)

    def __del__(self) -> None:
        """End the reading processes."""
        self.service.stop()


def start(config: ServeConfig) -> str:
    """Serve in the background of this process; returns the URL when the models answer.

    Raises:
        InputError: a model cannot be served, the port is in use, or the cluster already serves.
    """
    from ray import serve

    # Ray Serve reports every step on standard error.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    chosen = choose(config)
    port = _free_port(config)
    os.environ.setdefault(*EDGE)
    connect()
    _make_room()
    serve.start(
        http_options={
            "host": config.host,
            "port": port,
            "request_timeout_s": REQUEST_TIMEOUT_S + 10,  # the application's own comes first
        }
    )
    deployment = serve.deployment(
        name="inference",
        num_replicas=config.replicas,
        # The application itself counts, lets in and refuses; health never waits.
        max_ongoing_requests=config.max_ongoing + config.max_queued + BESIDE,
        max_constructor_retry_count=2,
    )(serve.ingress()(Inference))
    models = [configs.to_dict(each) for each in chosen]
    serve.run(deployment.bind(models, configs.to_dict(config)), name=NAME, route_prefix="/")
    host = "127.0.0.1" if config.host == "0.0.0.0" else config.host
    return f"http://{host}:{port}"


def stop() -> None:
    """Stop serving; requests under way end first."""
    from ray import serve

    serve.delete(NAME)


def run(config: ServeConfig) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, then shut down.

    Raises:
        InputError: a model cannot be served, the port is in use, or the cluster already serves.
    """
    interrupted = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        interrupted.set()

    os.environ.setdefault(*EDGE)
    with connected():
        url = start(config)
        # Only now: Ray sets handlers of its own when it starts.
        before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
        print(f"serving at {url} (documentation at {url}/docs); interrupt to stop", flush=True)
        try:
            interrupted.wait()
            print("shutting down", flush=True)
            stop()
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
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            raise InputError(
                f"{config.host}:{config.port}: cannot listen there ({error.strerror}); choose "
                "another --port or --host"
            ) from error
        port: int = probe.getsockname()[1]
        return port
