"""Addresses of the network: whether they are reached, their parts, ports that are free."""

import secrets
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

SECONDS = 4.0
# Ray's workers have those below, and the replicas of Ray Serve those above, up to 31,000.
_PORTS = range(20_000, 30_000)
APART = range(31_001, 32_768)  # no other port of ours; connections that go out have those above


def unreachable(host: str, port: int) -> str:
    """Reason why an address accepts no connection; empty if it does."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return ""
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)


def free_port(host: str = "127.0.0.1", ports: Sequence[int] = _PORTS) -> int:
    """Port that nothing listens at, and that no connection is given before it is used.

    Args:
        host: where it shall be free.
        ports: those to choose from.

    Raises:
        OSError: the host is not one of this machine, or all ports that were tried are in use.
    """
    for tries in range(100, 0, -1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = secrets.choice(ports)
            try:
                probe.bind((host, port))
            except OSError:
                if tries == 1:
                    raise
                continue
            return port
    raise AssertionError


def host_and_port(address: str, default: int | None = None) -> tuple[str, int] | None:
    """Host and port of `HOST:PORT` or a URL; None where there are none."""
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        port = parts.port or default
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None


def without_password(address: str) -> str:
    """URL without its password."""
    before, at, after = address.rpartition("@")
    scheme, slashes, user = before.partition("//")
    return f"{scheme}//{user.partition(':')[0]}@{after}" if at and slashes else address
