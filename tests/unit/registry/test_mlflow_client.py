import contextlib
import http.server
import socket
import threading

import pytest

from wolter import cli, network
from wolter.errors import InputError
from wolter.registry import mlflow_client, mlflow_store, pretrained

REMEDY = "start it, correct the address, or unset it for a file of WOLTER_HOME"


@pytest.fixture(autouse=True)
def unknown():
    """Nothing is known of any store."""
    mlflow_client.must_answer.cache_clear()


@contextlib.contextmanager
def server(status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.mark.parametrize("kind", ["http", "https", "postgresql", "mysql+pymysql", "mssql+pyodbc"])
def test_where_nobody_listens_it_is_told_at_once(kind):
    with pytest.raises(InputError) as caught:
        mlflow_client.must_answer(f"{kind}://user:secret@127.0.0.1:{closed_port()}/runs")
    assert "MLflow does not answer there (Connection refused)" in str(caught.value)
    assert REMEDY in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_takes_connections_and_never_answers(monkeypatch):
    monkeypatch.setattr(mlflow_client, "SECONDS", 0.3)
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, pytest.raises(InputError, match="Read timed out"):
        mlflow_client.must_answer(f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_fails(status):
    with server(status) as uri, pytest.raises(InputError, match=f"HTTP {status}"):
        mlflow_client.must_answer(uri)


@pytest.mark.parametrize("status", [200, 401, 404, 499])
def test_a_server_that_answers_is_left_to_mlflow(status):
    with server(status) as uri:
        mlflow_client.must_answer(uri)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"no database, but long enough to be one", "file is not a database"), (None, "unable")],
)
def test_a_file_that_is_no_database_or_cannot_be_made(tmp_path, content, why):
    place = tmp_path / "missing" / "mlflow.db" if content is None else tmp_path / "mlflow.db"
    if content:
        place.write_bytes(content * 100)
    with pytest.raises(InputError, match=why):
        mlflow_client.must_answer(f"sqlite:///{place}")


def test_a_database_without_its_driver_is_told(monkeypatch):
    monkeypatch.setattr(mlflow_client, "unreachable", lambda host, port: "")
    with pytest.raises(InputError, match=r"No module named|load plugin"):
        mlflow_client.must_answer("mysql+mysqldb://127.0.0.1/runs")


def test_the_command_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    assert cli.main(["promote", "mlp", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "does not answer" in line


@pytest.mark.parametrize("ask", [pretrained.find, lambda name, _: mlflow_store.has_champion(name)])
def test_a_registry_that_does_not_answer_is_not_one_without_champion(monkeypatch, ask):
    """The weights that ship with the package would answer in its champion's place."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(InputError, match="MLflow does not answer"):
        ask("deepspectra", mlflow_store.CHAMPION)


def test_a_store_of_artifacts_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(network, "SECONDS", 0.3)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(InputError, match=r"s3://bucket/runs: .*Connection refused"):
        mlflow_store.must_keep("s3://bucket/runs")
    mlflow_store.must_keep("file:///somewhere")
