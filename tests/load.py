"""Clients of a server that ask all the time, and waiting for what shall come."""

import collections
import threading
import time

import httpx2


class Load:
    """Clients that ask all the time, and the statuses and versions that they get."""

    def __init__(self, url, request, clients=2):
        self.answers, self._ended = [], threading.Event()
        self._url, self._request = url, request
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        with httpx2.Client(base_url=self._url, timeout=60) as client:
            while not self._ended.is_set():
                try:
                    answer = client.request(**self._request)
                except httpx2.TransportError:
                    self.answers.append((0, ""))
                    continue
                if answer.status_code == 503:
                    time.sleep(0.05)
                told = answer.status_code == 200 and self._request["method"] == "POST"
                version = answer.json()["model_version"] if told else ""
                self.answers.append((answer.status_code, version))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def statuses(self):
        return collections.Counter(status for status, _ in self.answers)


def until(true, seconds=300):  # a busy machine takes minutes for a replica
    ends = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends
        time.sleep(0.2)
    return found
