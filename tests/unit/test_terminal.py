import os
import subprocess
import sys

import pytest

from wolter import terminal

NOISE = """
import logging, os, sys, warnings
from wolter.terminal import ours_alone
def noise():
    os.write(2, b"from C++\\n")
    logging.getLogger("ray").error("from Ray")
    logging.getLogger("mlflow").warning("from MLflow")
    warnings.warn("from torch")
    print("ours", file=sys.stderr)
    print("result")
with ours_alone():
    noise()
if len(sys.argv) > 1:
    noise()
"""


def noise(*words):
    return subprocess.run(
        [sys.executable, "-c", NOISE, *words], capture_output=True, text=True, timeout=60
    )


def test_only_what_this_package_says_reaches_the_terminal():
    done = noise()
    assert done.returncode == 0
    assert (done.stdout, done.stderr) == ("result\n", "ours\n")


def test_afterwards_all_is_as_before():
    err = noise("again").stderr
    for text in ("from C++", "from Ray", "from MLflow", "from torch"):
        assert err.count(text) == 1
    assert err.count("ours\n") == 2


def test_what_the_user_has_set_stays(monkeypatch):
    for name in terminal.QUIET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "DEBUG")
    terminal.quiet()
    assert os.environ["MLFLOW_LOGGING_LEVEL"] == "DEBUG"
    assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"


def test_a_stream_that_is_not_the_terminals_is_left_alone(capsys):
    before = sys.stderr
    with terminal.ours_alone():
        assert sys.stderr is before
        print("ours", file=sys.stderr)
    assert capsys.readouterr().err == "ours\n"


def test_an_error_passes(capsys):
    with pytest.raises(KeyError), terminal.ours_alone():
        raise KeyError("x")
