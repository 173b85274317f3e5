"""Closed local Ray: loopback only, with token authentication.

A Ray that is open to the network runs anybody's code. The token is a file of `$WOLTER_HOME`, so
that the user's own token and clusters stay as they are.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wolter.errors import FailedError, InputError
from wolter.home import home

TOKEN = "ray_token"
LOOPBACK = "127.0.0.1"
# What Ray reads of tokens, and gives to all processes that it starts.
_MODE, _VALUE, _PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def token_file() -> Path:
    """Token file of local Rays, created on first use, readable by the user alone.

    Raises:
        InputError: it cannot be written.
    """
    path = home() / TOKEN
    try:
        if not _good(path):
            home().mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=home(), prefix=f"{TOKEN}.")  # mode 600
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            Path(name).replace(path)
        path.chmod(0o600)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); set WOLTER_HOME to another folder"
        ) from error
    return path


def _good(path: Path) -> bool:
    return path.is_file() and len(path.read_text(errors="replace").strip()) >= 32


@contextlib.contextmanager
def closed() -> Iterator[dict[str, Any]]:
    """Let `ray.init` start a closed Ray in this block; yields arguments that it needs.

    Raises:
        FailedError: the Ray that was started is open.
    """
    import ray
    from ray._private import ray_constants

    for name in (_MODE, _VALUE):  # Ray's own default is a token
        os.environ.pop(name, None)
    os.environ[_PATH] = str(token_file())
    # Ray takes an address of the network in place of loopback where it thinks of more nodes.
    several = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield {"_node_ip_address": LOOPBACK}
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = several
    if not running() or os.environ.get(_MODE) != "token":
        ray.shutdown()
        raise FailedError(
            f"Ray {ray.__version__} would listen on the network or without a token; install a "
            "version that pyproject.toml allows"
        )


def running() -> bool:
    """True if the connected Ray listens on loopback alone."""
    import ray

    return bool(ray.util.get_node_ip_address() == LOOPBACK)


def close_replica() -> None:
    """Keep a replica of Ray Serve from a port of its own; call it in its constructor.

    The port would take pickles of anybody, for calls between deployments: we have only one.
    """
    from ray.serve._private import replica

    if running():
        replica.add_port_to_grpc_server = lambda _server, _address: 0


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Restore the user's token settings when the block ends."""
    before = {name: os.environ.get(name) for name in (_MODE, _VALUE, _PATH)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
