"""A look at the registry that fails is told in `/readyz`, and the models before answer on."""

import asyncio
import subprocess
from types import SimpleNamespace

import pytest
import ray

from wolter.errors import UnavailableError
from wolter.serve import champions
from wolter.serve.board import Board
from wolter.serve.champions import Champions

OLD = [{"name": "mlp", "version": "1"}]


class FakeBoard:
    """The board without Ray: its answers are there at once."""

    def __init__(self):
        self._board = Board()

    def __getattr__(self, name):
        return SimpleNamespace(remote=getattr(self._board, name))

    @property
    def models(self):
        return self._board.chosen()

    @property
    def notes(self):
        return self._board.all()[1]


@pytest.fixture
def board(monkeypatch):
    fake = FakeBoard()
    monkeypatch.setattr(champions.board, "find", lambda: fake)
    monkeypatch.setattr(ray, "get", lambda answers, timeout: answers)
    return fake


@pytest.fixture
def actor(monkeypatch):
    """The actor without its thread, as after a change of the registry."""
    found = Champions.__new__(Champions)
    found.config, found.models, found.state = {}, OLD, {"WOLTER_HOME": "/nowhere"}
    found._notes, found._said, found._seen, found._again = {}, "", (), False
    return found


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (subprocess.CalledProcessError(-11, "review"), "their check ended with signal 11, see the"),
        (subprocess.CalledProcessError(1, "review"), "their check ended with exit code 1, see the"),
        (subprocess.TimeoutExpired("review", 600), "their check takes more than 600 s"),
        (OSError("no\nmemory"), "OSError: no memory"),
    ],
)
def test_a_check_that_ends_its_process_is_told_and_tried_again(
    board, actor, monkeypatch, error, why
):
    def failing(_):
        raise error

    monkeypatch.setattr(Champions, "_review", failing)
    assert not actor._once()
    assert board.notes["registry"].startswith(f"new champions cannot be checked: {why}")
    assert board.notes["registry"].endswith("; those before answer on")
    assert actor.models == OLD
    new = [{"name": "mlp", "version": "2"}]
    monkeypatch.setattr(Champions, "_review", lambda _: {"models": new, "notes": {}})
    assert actor._once()  # it looks again without a further change
    assert board.notes == {}
    assert board.models == new


def test_without_a_board_the_line_waits(actor, monkeypatch):
    def missing():
        raise ValueError("no actor")

    monkeypatch.setattr(champions.board, "find", missing)
    monkeypatch.setattr(Champions, "_review", lambda _: {"models": OLD, "notes": {}})
    assert not actor._once()
    board = FakeBoard()
    monkeypatch.setattr(champions.board, "find", lambda: board)
    assert actor._once()
    assert board.models == OLD


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Starts the actor as Ray does, without its thread."""
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(Champions, "_run", lambda _: None)

    def start(seen, again=False):
        told = SimpleNamespace(was_current_actor_reconstructed=again)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: told)
        return Champions({}, OLD, {"WOLTER_HOME": str(tmp_path)}, seen)

    return start


def _reviewed(monkeypatch, version, **notes):
    models = [{"name": "mlp", "version": version}]
    seen = []

    def review(actor):
        seen.append(actor.models)
        return {"models": models, "notes": notes}

    monkeypatch.setattr(Champions, "_review", review)
    return models, seen


@pytest.mark.parametrize("changed", [True, False])
def test_a_champion_promoted_while_models_load_is_looked_at(
    board, started, monkeypatch, tmp_path, changed
):
    new, _ = _reviewed(monkeypatch, "2")
    seen = champions.stamp()  # here models are chosen, and load
    if changed:
        (tmp_path / "mlflow.db").touch()
    assert started(seen)._once()
    assert board.models == (new if changed else OLD)


def test_an_actor_that_ray_starts_again_goes_on_with_what_answers_now(board, started, monkeypatch):
    """And not with the models of the server's start."""
    new, _ = _reviewed(monkeypatch, "2", **{"mlp@3": "refused"})
    assert started(())._once()
    board.note.remote("registry", "a line")
    again = started((), again=True)
    same, compared = _reviewed(monkeypatch, "2")
    assert again._once()
    assert compared == [new]
    assert (board.models, board.notes) == (same, {})  # lines that hold no more are gone


def test_a_board_that_starts_again_is_told_everything(board, started, monkeypatch):
    new, _ = _reviewed(monkeypatch, "2", **{"mlp@3": "refused"})
    actor = started(())
    assert actor._once()
    board.clear.remote()
    assert actor._once()
    assert (board.models, board.notes) == (new, {"mlp@3": "refused"})


def test_versions_are_not_found_before_the_actor_is_there(monkeypatch):
    def missing(*_, **__):
        raise ValueError("no actor")

    monkeypatch.setattr(ray, "get_actor", missing)
    with pytest.raises(UnavailableError, match="try again in some seconds"):
        asyncio.run(champions.locate("mlp", "2"))
