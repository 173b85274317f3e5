"""Every fault is JSON of one line; a full disk is no fault of the request."""

import errno
import importlib
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from wolter.errors import InputError
from wolter.serve.errors import TooLargeError, UnavailableError
from wolter.serve.problems import RESPONSES, add_handlers, in_http, one_line, problem
from wolter.spectra import reading


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


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.5, True),
        (float("inf"), True),
        ("x" * 49, True),
        ("x" * 50, False),
        (10**50 - 1, True),
        (10**50, False),
        ([1], False),
        (None, False),
    ],
)
def test_values_are_told_where_they_are_short(value, told):
    error = {"loc": ("body", "counts", 3), "msg": "a  number", "input": value}
    line = one_line([error, {}])
    assert line == "counts.3: a number" + (f" (got {value!r})" if told else "")


def test_options_become_parameters_of_a_request():
    assert in_http("give --max-files or `--rmf`") == "give max_files or `rmf`"
    assert in_http("a--b.pha is no file") == "a--b.pha is no file"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no RMF (RESPFILE); give --rmf FILE", "no RMF (RESPFILE); send it in the field rmf"),
        ("is not beside it; give --arf FILE or none", "is not beside it; send it in the field arf"),
        ("its own background; give --background FILE",
         "its own background; send it in the field background"),
        ("800 from 0; pass the RMF of this spectrum", "800 from 0; send its RMF in the field rmf"),
        ("thick: pass the RMF and ARF of this spectrum",
         "thick: send its RMF and ARF in the fields rmf and arf, and ask for response=files"),
        ("no effective area; pass its ARF", "no effective area; send its ARF in the field arf"),
        ('count it twice; pass "none" as ARF', "count it twice; send no ARF, with ANCRFILE NONE"),
        ("(HDUCLAS2 NET); pass the total spectrum", "(HDUCLAS2 NET); send the total spectrum"),
        ("(OSError: No SIMPLE card. If this is really a FITS file, try with "
         "ignore_missing_simple=True); fetch it again",
         "(OSError: No SIMPLE card.); fetch it again"),
        ("forgive arf FILE; bypass arf", "forgive arf FILE; bypass arf"),
    ],
)  # fmt: skip
def test_remedies_of_the_library_become_fields_of_a_request(said, told):
    assert in_http(said) == told


def test_no_reader_of_spectra_says_what_http_cannot():
    """What the library says of spectra, in all its modules that read uploads."""
    found = []
    for name in ("pha", "spectrum", "response", "matrix", "ogip"):
        text = Path(importlib.import_module(f"wolter.xray.{name}").__file__).read_text()
        found += re.findall(r"[;:] pass [^\n]*", text)
    found += re.findall(r"[;:] pass [^\n]*", Path(reading.__file__).read_text())
    assert len(found) >= 5
    assert not [each for each in found if re.search(r"\bpass\b|\w=(?!files)", in_http(each))]


def test_errors_are_documented_each_by_its_status():
    assert set(RESPONSES) == {400, 408, 413, 415, 422, 429, 500, 503}
    assert RESPONSES[413]["description"].startswith("A file or the request is too large")
    assert RESPONSES[429]["description"].startswith("Too many requests wait")


def test_lines_of_values_are_not_endless():
    line = one_line([{"loc": ("body", "x" * 600), "msg": "bad", "input": None}])
    assert line == "x" * 500


@pytest.mark.parametrize(
    ("loc", "place"), [(("body",), "body"), (("query", "a", 1), "a.1"), (("body", "b"), "b")]
)
def test_places_of_values_are_told_as_the_client_knows_them(loc, place):
    assert one_line([{"loc": loc, "msg": "bad", "input": None}]) == f"{place}: bad"


def test_types_are_told_as_json_names_them():
    for said, told in (("a valid list", "a valid array"), ("a valid dictionary or x", "an object")):
        error = {"loc": ("body",), "msg": f"Input should be {said}", "input": None}
        assert one_line([error]) == f"body: Input should be {told}"


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
