"""Requests a second of a trivial route, beside bare uvicorn with the same body; by `wrk`."""

import re
import shutil
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.request import urlopen

_BARE = """
import sys, uvicorn
body = sys.stdin.buffer.read()
async def app(scope, receive, send):
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, port=int(sys.argv[1]), log_level="critical", lifespan="off")
"""


def trivial(url: str, path: str, seconds: float, clients: int = 16) -> dict[str, Any]:
    """Requests a second of both, and the server's share; null where `wrk` is not installed."""
    if shutil.which("wrk") is None:
        return {"ours_per_s": None, "uvicorn_per_s": None, "share": None}
    with urlopen(url + path) as answer:
        body = answer.read()
    ours = _per_second(url + path, seconds, clients)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", _BARE, str(port)], stdin=subprocess.PIPE) as bare:
        assert bare.stdin is not None
        bare.stdin.write(body)
        bare.stdin.close()
        time.sleep(2)
        theirs = _per_second(f"http://127.0.0.1:{port}/", seconds, clients)
        bare.terminate()
    return {
        "path": path,
        "body_bytes": len(body),
        "clients": clients,
        "ours_per_s": ours,
        "uvicorn_per_s": theirs,
        "share": round(ours / theirs, 3),
    }


def _per_second(url: str, seconds: float, clients: int) -> float:
    told = subprocess.run(
        ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])
