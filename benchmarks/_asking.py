"""Asks a URL at even times, one request after another: `python _asking.py URL SECONDS EVERY_S`.

Prints pairs of milliseconds, each from when the request was due, and status as JSON. It imports
little, so that it measures the server and not itself.
"""

import json
import sys
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit


def main(url: str, seconds: float, every_s: float) -> None:
    """Ask, each time on a new connection."""
    parts = urlsplit(url)
    found = []
    due = time.perf_counter()
    for _ in range(int(seconds / every_s)):
        time.sleep(max(due - time.perf_counter(), 0))
        try:
            connection = HTTPConnection(parts.netloc, timeout=60)
            connection.request("GET", parts.path)
            status = connection.getresponse().status
            connection.close()
        except (OSError, HTTPException):
            status = 0
        found.append((1e3 * (time.perf_counter() - due), status))
        due = max(due + every_s, time.perf_counter())
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
