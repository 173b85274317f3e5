"""Every fault is JSON of one line; a full disk is no fault of the request."""

import errno

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from wolter.errors import InputError
from wolter.serve.errors import TooLargeError, UnavailableError
from wolter.serve.problems import add_handlers, in_http


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("a.pha: bad;\ngive --rmf"), 422, "a.pha: bad; give rmf"),
        (TooLargeError("a.pha: large"), 413, "a.pha: large"),
        (UnavailableError("busy"), 503, "busy"),
        (OSError(errno.ENOSPC, "x"), 503, "the server has no room for uploads now"),
        (OSError(errno.EDQUOT, "x"), 503, "the server has no room for uploads now"),
        (OSError(errno.EACCES, "/secret"), 500, "the server failed on this request"),
        (KeyError("secret"), 500, "the server failed on this request (KeyError)"),
    ],
)
def test_errors_are_one_line(error, status, said):
    app = FastAPI()
    add_handlers(app)

    @app.get("/")
    def fail():
        raise error

    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert answer.status_code == status
    (line,) = answer.json().values()
    assert line.startswith(said)
    assert "\n" not in line
    assert "secret" not in line
    assert ("retry-after" in answer.headers) is (status == 503)
    assert TestClient(app).get("/none").json() == {"detail": "Not Found"}


def test_options_become_parameters_of_a_request():
    assert in_http("give --max-files or `--rmf`") == "give max_files or `rmf`"
    assert in_http("a--b.pha is no file") == "a--b.pha is no file"
