import socket
from pathlib import Path

import pytest

from wolter import network


@pytest.mark.parametrize(
    ("address", "default", "found"),
    [
        ("127.0.0.1:6379", None, ("127.0.0.1", 6379)),
        ("head", 6379, ("head", 6379)),
        ("ray://head:10001", 1, ("head", 10001)),
        ("http://mlflow.example", 80, ("mlflow.example", 80)),
        ("postgresql://user:secret@db:5433/runs", 5432, ("db", 5433)),
        ("[::1]:6379", None, ("::1", 6379)),
        ("head", None, None),
        ("head:port", None, None),
        ("", 80, None),
    ],
)
def test_host_and_port(address, default, found):
    assert network.host_and_port(address, default) == found


def test_passwords_are_not_shown():
    shown = network.without_password("postgresql://user:secret@db:5432/runs")
    assert shown == "postgresql://user@db:5432/runs"
    assert network.without_password("sqlite:////a/b@c.db") == "sqlite:////a/b@c.db"


def test_what_accepts_is_reached_and_what_is_closed_is_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert network.unreachable("127.0.0.1", port) == ""
    assert network.unreachable("127.0.0.1", port) == "Connection refused"
    assert network.unreachable("no.such.host.invalid", 80)


def test_silence_ends_in_seconds(monkeypatch):
    """A full queue of connections drops what comes: as a firewall does."""
    monkeypatch.setattr(network, "SECONDS", 0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        assert network.unreachable(*server.getsockname()) == "no answer within 0.3 s"
        for each in waiting:
            each.close()


def test_a_free_port_can_be_listened_at_and_no_connection_is_given_it():
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {network.free_port() for _ in range(20)}
    assert len(ports) > 10
    assert max(ports) < low
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports.pop()))
        server.listen()


def test_a_host_of_another_machine_has_no_free_port():
    with pytest.raises(OSError, match="assign"):
        network.free_port("192.0.2.77")
