"""A server that ends before it serves leaves nothing on a cluster that lives on."""

import os
import signal
import socket
import threading

import pytest
import ray
from ray import serve
from ray.serve._private.constants import SERVE_NAMESPACE
from tests.load import until

from wolter.errors import FailedError
from wolter.serve import application, board, environment
from wolter.serve.application import run
from wolter.serve.config import ServeConfig

pytestmark = pytest.mark.distributed


def nothing_is_left():
    assert not serve.status().applications
    with pytest.raises(ValueError, match=board.NAME):
        board.find()
    actors = ray.util.list_named_actors(all_namespaces=True)  # Ray Data's live on too
    assert not [each for each in actors if each["namespace"] in (SERVE_NAMESPACE, board.NAMESPACE)]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_while_its_models_load(ray_session, untrained, monkeypatch, sent):
    monkeypatch.setattr(environment, "tidy", lambda: None)  # this Ray lives on and reads it
    models = {"posterior": str(untrained("posterior"))}
    config = ServeConfig(port=0, parsers=1, applications=("spectra-parameters",), models=models)
    seen = []

    def interrupt():
        def states():
            return {name: each.status for name, each in serve.status().applications.items()}

        until(lambda: states().get("spectra-parameters") == "DEPLOYING")
        seen.append(states())
        os.kill(os.getpid(), sent)

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(config)
    thread.join()
    assert seen == [{"page": "RUNNING", "spectra-parameters": "DEPLOYING"}]
    nothing_is_left()
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_port_that_is_taken_meanwhile_is_told(ray_session, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setattr(application, "_free_port", lambda _: port)  # found free before
        told = f"cannot bind socket (Address already in use) for [127.0.0.1:{port}]"
        with pytest.raises(FailedError, match="HAProxy does not start: Binding") as raised:
            application.start(ServeConfig(applications=("catalogue",)))
        assert told in str(raised.value)
    nothing_is_left()
