"""Connecting to Ray: the cluster of `RAY_ADDRESS`, or a light local one."""

import contextlib
import logging
import os
from collections.abc import Iterator

from wolter import local_ray
from wolter.errors import InputError


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connect(logical_cpus: int | None = None) -> None:
    """Join the cluster of `RAY_ADDRESS`, or start a light local Ray; nothing if already joined.

    The local Ray has no dashboard, a small object store, and more logical CPUs than cores, so that
    training workers never starve Ray Data of the CPUs that it needs to feed them. It is closed, see
    `wolter.local_ray`; a cluster is joined with the user's own settings.

    Raises:
        InputError: `RAY_ADDRESS` is set and no cluster answers there.
        FailedError: Ray does not start.
    """
    import ray

    if ray.is_initialized():
        return
    # Our own progress bars tell what users must know; Ray Data reads these when it is imported.
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's future default
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    address = os.environ.get("RAY_ADDRESS")
    if address and address != "local":
        _join(address)
    else:
        _start(logical_cpus or 4 * cores())


def _join(address: str) -> None:
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise InputError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there; start one with "
            "`ray start --head`, or unset RAY_ADDRESS for a local run"
        ) from error


def _start(logical_cpus: int) -> None:
    import ray

    with local_ray.closed() as arguments:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            num_cpus=logical_cpus,
            object_store_memory=512 * 2**20,
            **arguments,
        )


@contextlib.contextmanager
def connected(logical_cpus: int | None = None) -> Iterator[None]:
    """Connect for the length of a block; shut down only the Ray that was started here."""
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
