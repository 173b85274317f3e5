"""The board on a real Ray: a new server's is empty, and one that is killed comes back."""

import contextlib
import time

import pytest
import ray

from wolter.serve import board


@pytest.fixture
def started(ray_session):
    yield board.start()
    board.stop()


def test_a_server_that_was_killed_leaves_its_models_to_no_other(started):
    ray.get([started.choose.remote([{"name": "mlp"}]), started.note.remote("mlp@2", "refused")])
    ray.get(started.report.remote("a", "1", {"models": []}))
    again = board.start()
    assert ray.get(again.chosen.remote()) == []
    assert ray.get(again.all.remote()) == ({}, {})


def test_a_board_that_is_killed_starts_again(started):
    ray.get(started.choose.remote([{"name": "mlp"}]))
    ray.kill(started, no_restart=False)
    ends = time.monotonic() + 120
    while True:
        with contextlib.suppress(ray.exceptions.RayActorError):
            if ray.get(board.find().chosen.remote(), timeout=60) == []:
                return
        assert time.monotonic() < ends
        time.sleep(0.2)
