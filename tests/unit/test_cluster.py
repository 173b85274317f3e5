import socket

import pytest
import ray

from wolter import cluster
from wolter.errors import FailedError, InputError


@pytest.fixture(autouse=True)
def no_ray(monkeypatch, tmp_path):
    """Nothing is started in these tests."""
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("it must not be started"))


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_head_that_is_gone_is_told_at_once(monkeypatch, form):
    monkeypatch.setenv("RAY_ADDRESS", form.format(closed_port()))
    with pytest.raises(InputError, match=r"no Ray cluster answers there \(Connection refused\)"):
        cluster.connect()


def test_the_address_of_the_jobs_is_not_that_of_the_head(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    with pytest.raises(InputError, match="RAY_API_SERVER_ADDRESS"):
        cluster.connect()


def test_a_cluster_is_joined_with_the_users_own_settings(monkeypatch):
    joined = {}
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = "{}:{}".format(*head.getsockname())
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        monkeypatch.setattr(ray, "init", lambda **given: joined.update(given))
        cluster.connect()
    assert joined["address"] == address
    assert "_node_ip_address" not in joined
    assert cluster.os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_cluster_that_asks_for_a_token(monkeypatch):
    def refuse(**_):
        raise ray.exceptions.AuthenticationError("no token")

    with socket.create_server(("127.0.0.1", 0)) as head:
        monkeypatch.setenv("RAY_ADDRESS", "{}:{}".format(*head.getsockname()))
        monkeypatch.setattr(ray, "init", refuse)
        with pytest.raises(InputError, match="asks for a token; set RAY_AUTH_MODE=token"):
            cluster.connect()


def start(monkeypatch, failures):
    """Connect to a local Ray that fails so many times; the arguments of each attempt."""
    attempts = []

    def init(**given):
        attempts.append(given)
        if len(attempts) <= failures:
            raise Exception("The current node timed out during startup.")
        cluster.os.environ["RAY_AUTH_MODE"] = "token"

    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(cluster.local_ray, "running", lambda: True)
    with cluster.local_ray.own_settings():
        try:
            cluster.connect()
        finally:
            assert all(each["_node_ip_address"] == "127.0.0.1" for each in attempts)
    return len(attempts)


def test_a_ray_that_does_not_come_up_is_started_once_more(monkeypatch):
    assert start(monkeypatch, failures=0) == 1
    assert start(monkeypatch, failures=1) == 2


def test_a_ray_that_never_comes_up_is_told_with_the_remedy(monkeypatch):
    with pytest.raises(FailedError, match=r"did not start in two attempts \(The current node"):
        start(monkeypatch, failures=2)


@pytest.mark.parametrize("runs", [True, False])
def test_its_node_is_waited_for_while_there_is_a_process_to_make_it(monkeypatch, runs):
    from ray._private import services

    asked = []

    def get_node(*arguments):
        asked.append(arguments)
        if len(asked) < 3:
            raise RuntimeError("not yet")
        return {"node": 1}

    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr(cluster, "_raylet_runs", lambda: runs)
    with cluster._patient():
        if runs:
            assert services.get_node("address", "id") == {"node": 1}
        else:
            with pytest.raises(RuntimeError, match="not yet"):
                services.get_node("address", "id")
    assert asked == [("address", "id")] * (3 if runs else 1)
    assert services.get_node is get_node


def test_what_ray_reports_is_told_in_our_words(capsys):
    def report(text):
        cluster._report({"lines": [text], "pid": "raylet", "is_err": False}, ignore_prefix=False)
        return capsys.readouterr()

    shown = report("1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers")
    assert shown.out == ""
    assert shown.err.startswith("wolter: warning: memory ran short")
    assert report("WARNING: 8 PYTHON worker processes have been started on node: 1") == ("", "")
