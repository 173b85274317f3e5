"""Connecting to Ray: the cluster of `RAY_ADDRESS`, or a light local one."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from wolter import local_ray
from wolter.errors import FailedError, InputError
from wolter.network import host_and_port, unreachable
from wolter.terminal import quiet

WAIT_S = 120  # for each process of a local Ray; Ray's own 30 s are few on a busy machine
_SLOW = {
    "RAY_gcs_server_port_wait_time_s": str(WAIT_S),
    "RAY_raylet_start_wait_time_s": str(WAIT_S),
    "RAY_agent_register_timeout_ms": str(WAIT_S * 1000),
    "RAY_worker_register_timeout_seconds": str(WAIT_S),
}


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connect(logical_cpus: int | None = None) -> None:
    """Connect to the cluster of `RAY_ADDRESS`, or start a light local Ray, unless connected.

    The local Ray has no dashboard, a small object store, and more logical CPUs than cores, so that
    training workers never starve Ray Data of the CPUs that it needs to feed them. It is closed, see
    `wolter.local_ray`; a cluster is joined with the user's own settings.

    Raises:
        InputError: `RAY_ADDRESS` is set and no cluster answers there.
        FailedError: Ray does not start.
    """
    quiet()  # before Ray Data is imported
    import ray

    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    address = os.environ.get("RAY_ADDRESS")
    # What Ray's processes report would be printed among our output.
    ray._private.worker.print_to_stdstream = _report
    if address and address != "local":
        _join(address)
    else:
        _start(logical_cpus or 4 * cores())


def _join(address: str) -> None:
    import ray

    remedy = "start one with `ray start --head`, or unset RAY_ADDRESS for a local run"
    if address.startswith(("http://", "https://")):
        raise InputError(
            f"RAY_ADDRESS={address}: is for RAY_API_SERVER_ADDRESS, which `ray job submit` reads; "
            "give HOST:PORT of the head, or unset RAY_ADDRESS for a local run"
        )
    try:
        head = _head(address)
        why = unreachable(*head) if head else ""
        if why:
            raise ConnectionError(why)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ray.exceptions.AuthenticationError as error:
        raise InputError(
            f"RAY_ADDRESS={address}: the cluster asks for a token; set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN_PATH where the token is not in ~/.ray/auth_token"
        ) from error
    except (ConnectionError, ValueError) as error:
        raise InputError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there ({error}); {remedy}"
        ) from error


def _head(address: str) -> tuple[str, int] | None:
    """Host and port of a cluster; None where only Ray knows them."""
    if address == "auto":
        from ray._private.services import canonicalize_bootstrap_address

        address = canonicalize_bootstrap_address("auto") or ""
    return host_and_port(address, 10001 if address.startswith("ray://") else 6379)


def _start(logical_cpus: int) -> None:
    """Start a local Ray; once more, on other ports, where it does not come up."""
    import ray

    for name, value in _SLOW.items():
        os.environ.setdefault(name, value)
    failures = []
    for _ in range(2):
        before = set(psutil.Process().children(recursive=True))
        try:
            with local_ray.closed() as arguments, _patient():
                ray.init(
                    address="local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    num_cpus=logical_cpus,
                    object_store_memory=512 * 2**20,
                    **arguments,
                )
            return
        except (InputError, FailedError):
            raise
        except Exception as error:  # Ray raises several kinds, and plain Exception
            failures.append(error)
            ray.shutdown()
            _end(set(psutil.Process().children(recursive=True)) - before)
    reason = " ".join(str(failures[-1]).split())
    raise FailedError(
        f"Ray did not start in two attempts ({reason[:200]}); end other work on this machine, see "
        "that memory and /tmp have room, and try again; its logs are under "
        "/tmp/ray/session_latest/logs"
    ) from failures[-1]


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Let Ray wait longer for its node: its own limit is written into its code."""
    from ray._private import services

    given: Callable[..., Any] = services.get_node
    end = time.monotonic() + WAIT_S

    def get_node(*arguments: Any) -> Any:
        while True:
            try:
                return given(*arguments)
            except RuntimeError:
                if time.monotonic() > end or not _raylet_runs():
                    raise
                time.sleep(0.2)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = given


def _raylet_runs() -> bool:
    """True while the process of the Ray node runs."""
    return any(
        each.name() == "raylet" and each.status() != psutil.STATUS_ZOMBIE
        for each in psutil.Process().children()
    )


def _end(processes: set[psutil.Process]) -> None:
    """End what an attempt has left."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def _report(data: dict[str, Any], **_: Any) -> None:
    """Print how Ray was started or joined."""
    text = " ".join(data.get("lines", ()))
    if "memory pressure" in text or "OOM" in text:
        print(
            "wolter: warning: memory ran short, and Ray ended a worker, which starts again; use "
            "fewer workers or smaller batches",
            file=sys.stderr,
        )
    elif "disk" in text.lower() and "full" in text.lower():
        print("wolter: warning: the disk of /tmp is nearly full", file=sys.stderr)


@contextlib.contextmanager
def connected(logical_cpus: int | None = None) -> Iterator[None]:
    """Context manager of a Ray connection; shuts down only a Ray that it started."""
    import ray

    if ray.is_initialized():
        yield
        return
    with local_ray.own_settings():
        try:
            connect(logical_cpus)
            yield
        finally:
            ray.shutdown()
