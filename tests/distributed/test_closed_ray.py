"""A Ray that we start cannot be used by anybody else."""

import os
import socket
import subprocess
import sys

import pytest
import ray
from tests import processes

pytestmark = pytest.mark.distributed

INTRUDER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print("ran:", ray.get(ray.remote(lambda: 6 * 7).remote(), timeout=60))
"""


def intrude(**settings):
    """Run a task on this session's Ray from a process with other settings of its tokens."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    # With these it looks on loopback, and does not ask for long.
    environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_NUM_REDIS_GET_RETRIES": "1"}
    return subprocess.run(
        [sys.executable, "-c", INTRUDER, ray.get_runtime_context().gcs_address],
        env=environment | settings,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
    ],
    ids=["nothing set", "no token", "another token"],
)
def test_a_process_without_the_token_is_refused(ray_session, tmp_path, settings):
    done = intrude(HOME=str(tmp_path), **settings)
    assert done.returncode != 0
    assert "ran:" not in done.stdout
    assert "Authentication token is missing or incorrect" in done.stderr


def test_a_process_with_the_token_is_served(ray_session):
    """The other tests would pass as well if nobody could reach it."""
    token = os.environ["RAY_AUTH_TOKEN_PATH"]
    done = intrude(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=token)
    assert "ran: 42" in done.stdout, done.stderr


def test_sockets_outside_loopback_are_seen():
    with socket.create_server(("0.0.0.0", 0)) as server:
        seen = processes.outside(processes.listening(os.getpid()))
        assert server.getsockname()[1] in {port for _, _, port in seen}
