"""Asks paths in turn at even times: `python _asking.py URL SECONDS EVERY_S < PATHS`, of JSON.

Prints pairs of milliseconds, each from when the request was due, and status as JSON. It imports
little, so that it measures the server and not itself.
"""

import json
import sys
import time
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from urllib.parse import urlsplit


def main(url: str, seconds: float, every_s: float) -> None:
    """Ask, each time on a new connection."""
    place = urlsplit(url).netloc
    found = []
    due = time.perf_counter()
    for _, path in zip(range(int(seconds / every_s)), cycle(json.load(sys.stdin)), strict=False):
        time.sleep(max(due - time.perf_counter(), 0))
        try:
            connection = HTTPConnection(place, timeout=60)
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
            connection.close()
        except (OSError, HTTPException):
            status = 0
        found.append((1e3 * (time.perf_counter() - due), status))
        due = max(due + every_s, time.perf_counter())
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
