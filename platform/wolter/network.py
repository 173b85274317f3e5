"""Whether something answers at an address of the network, told within seconds."""

import socket
from urllib.parse import urlsplit

SECONDS = 4.0


def unreachable(host: str, port: int) -> str:
    """Why nothing accepts a connection there; empty if something does."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return ""
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)


def host_and_port(address: str, default: int | None = None) -> tuple[str, int] | None:
    """Those of `HOST:PORT` or of a URL; None where it names none."""
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        port = parts.port or default
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None


def without_password(address: str) -> str:
    """A URL as it may be shown."""
    before, at, after = address.rpartition("@")
    scheme, slashes, user = before.partition("//")
    return f"{scheme}//{user.partition(':')[0]}@{after}" if at and slashes else address
