"""Every fault is JSON of one line; a full disk is no fault of the request."""

import errno

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from wolter.errors import InputError, TooLargeError, UnavailableError
from wolter.serve.problems import RESPONSES, add_handlers, in_http, problem


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("a.pha: bad; give --rmf"), 422, "a.pha: bad; give rmf"),
        (TooLargeError("a.pha: large"), 413, "a.pha: large"),
        (UnavailableError("busy;\nwait"), 503, "busy; wait"),
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


@pytest.mark.parametrize(
    ("status", "later"), [(404, False), (408, False), (429, True), (503, True)]
)
def test_who_may_come_again_is_told_when(status, later):
    assert ("retry-after" in problem(status, "x").headers) is later


def test_options_become_parameters_of_a_request():
    assert in_http("give --max-files or `--rmf`") == "give max_files or `rmf`"
    assert in_http("a--b.pha is no file") == "a--b.pha is no file"


def test_errors_are_documented_each_by_its_status():
    assert set(RESPONSES) == {400, 408, 413, 415, 422, 429, 500, 503}
    assert RESPONSES[413]["description"].startswith("A file or the request is too large")
    assert RESPONSES[429]["description"].startswith("Too many requests wait")


def test_methods_that_are_allowed_are_told():
    app = FastAPI()
    add_handlers(app)

    @app.get("/a")
    def read():
        return {}

    answer = TestClient(app).post("/a")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json() == {"detail": "Method Not Allowed"}


def test_values_of_queries_are_refused_as_unprocessable():
    app = FastAPI()
    add_handlers(app)

    @app.get("/a")
    def read(n: int):
        return n

    answer = TestClient(app).get("/a?n=x")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("n: Input should be a valid integer")


def test_remedies_of_the_library_become_those_of_http():
    assert in_http("(NET); pass the total; bypass") == "(NET); send the total; bypass"
    said = "(No SIMPLE card. If this is really a FITS file, try with ignore_missing_simple=True); x"
    assert in_http(said) == "(No SIMPLE card.); x"
    assert in_http("no map; pass map=", {r"pass (map)=": r"send it in the field \1"}) == (
        "no map; send it in the field map"
    )


def test_words_of_tasks_reach_the_answers():
    app = FastAPI()
    add_handlers(app, {"pass b=": "send b"})

    @app.get("/")
    def fail():
        raise InputError("a; pass b=")

    assert TestClient(app).get("/").json() == {"detail": "a; send b"}
