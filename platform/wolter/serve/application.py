"""The Ray Serve application: start it, run it until interrupted."""

import logging
import signal
import socket
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from wolter import config as configs
from wolter import local_ray
from wolter.cluster import connect, connected
from wolter.errors import InputError
from wolter.memory import keep_freed
from wolter.serve.config import ServeConfig
from wolter.serve.images import ServedImages
from wolter.serve.models import Chosen, choose, load
from wolter.serve.requests import UploadReader
from wolter.train.checkpoint import load_model

if TYPE_CHECKING:
    from fastapi import FastAPI

NAME = "wolter"
REQUEST_TIMEOUT_S = 120.0


class Inference:
    """A replica: all models, and the processes that read uploads."""

    def __init__(self, chosen: list[dict[str, Any]], config: dict[str, Any]) -> None:
        keep_freed()
        local_ray.close_replica()
        from ray import serve

        self.config = configs.from_dict(ServeConfig, config)
        self.uploads = UploadReader(self.config)
        self.uploads.pool.start()
        join = serve.batch(max_batch_size=self.config.max_ongoing, batch_wait_timeout_s=0.0)
        models = [configs.from_dict(Chosen, each) for each in chosen]
        self.models = {each.name: load(each, join) for each in models if each.kind == "spectra"}
        self.images = {
            each.name: ServedImages(load_model(Path(each.folder)), each.version)
            for each in models
            if each.kind == "images"
        }

    def __serve_build_asgi_app__(self) -> "FastAPI":
        """Called by Ray Serve for the application that answers HTTP."""
        from wolter.serve.api import build_app

        return build_app(self)

    def __del__(self) -> None:
        """End the reading processes."""
        self.uploads.pool.stop()


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
    connect()
    _make_room()
    serve.start(
        http_options={"host": config.host, "port": port, "request_timeout_s": REQUEST_TIMEOUT_S}
    )
    deployment = serve.deployment(
        name="inference",
        num_replicas=config.replicas,
        max_ongoing_requests=config.max_ongoing,
        max_queued_requests=config.max_queued,
        backpressure_config={"status_code": 429, "retry_after_s": 2},
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
