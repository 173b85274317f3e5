"""What a server answers while it starts."""

import contextlib
import json
import threading

import httpx2

EVERY_S = 0.2


class Starting:
    """Asks paths of a server from before its start; `ended` returns what it was answered.

    Args:
        url: where the server will be.
        paths: that are asked.
    """

    def __init__(self, url, paths):
        self.url, self.answers = url, {path: [] for path in paths}
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self):
        while not self._up.wait(EVERY_S):
            for path, found in self.answers.items():
                with contextlib.suppress(httpx2.TransportError):
                    found.append(httpx2.get(self.url + path, timeout=30))

    def ended(self):
        """Stop asking; answers by path."""
        self._up.set()
        self._thread.join()
        return self.answers


def assert_waits(answers, own):
    """Assert that answers are 503 with a reason and Retry-After, or those of the application.

    Args:
        answers: of a path.
        own: status of the application's own answer.
    """
    assert {answer.status_code for answer in answers} <= {503, own}
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            html = answer.headers["content-type"].startswith("text/html")
            assert "no release yet" in answer.text if html else json.loads(answer.text)["detail"]
