"""Reachability check of network addresses within seconds."""

import socket
from urllib.parse import urlsplit

SECONDS = 4.0


def unreachable(host: str, port: int) -> str:
    """Reason why an address accepts no connection; empty if it does."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return ""
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)


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
