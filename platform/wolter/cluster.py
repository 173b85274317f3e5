"""Connecting to Ray: the cluster of `RAY_ADDRESS`, or a light local one."""

import contextlib
import os
from collections.abc import Iterator

from wolter.errors import InputError


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connect(logical_cpus: int | None = None) -> None:
    """Join the cluster of `RAY_ADDRESS`, or start a light local Ray; nothing if already joined.

    The local Ray has no dashboard, a small object store, and more logical CPUs than cores, so that
    training workers never starve Ray Data of the CPUs that it needs to feed them.

    Raises:
        InputError: `RAY_ADDRESS` is set and no cluster answers there.
    """
    import ray

    if ray.is_initialized():
        return
    # Our own progress bars tell what users must know; Ray Data reads these when it is imported.
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    # Left unset, ray.init() turns token authentication on and later `ray job submit` calls fail.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's future default
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        try:
            ray.init(address=address, log_to_driver=False)
        except ConnectionError as error:
            raise InputError(
                f"RAY_ADDRESS={address}: no Ray cluster answers there; start one with "
                "`ray start --head`, or unset RAY_ADDRESS for a local run"
            ) from error
        return
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        num_cpus=logical_cpus or 4 * cores(),
        object_store_memory=512 * 2**20,
    )


@contextlib.contextmanager
def connected(logical_cpus: int | None = None) -> Iterator[None]:
    """Connect for the length of a block; shut down only the Ray that was started here."""
    import ray

    started = not ray.is_initialized()
    connect(logical_cpus)
    try:
        yield
    finally:
        if started:
            ray.shutdown()
