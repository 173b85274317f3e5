"""A look at the registry that fails is told in `/readyz`, and the models before answer on."""

import subprocess
from types import SimpleNamespace

import pytest

from wolter.serve import champions
from wolter.serve.champions import Champions

OLD = [{"name": "mlp", "version": "1"}]


class FakeBoard:
    """Notes by name, and the chosen models."""

    def __init__(self):
        self.notes, self.chosen = {}, None
        self.note = SimpleNamespace(remote=self.notes.__setitem__)
        self.choose = SimpleNamespace(remote=lambda models: setattr(self, "chosen", models))


@pytest.fixture
def board(monkeypatch):
    fake = FakeBoard()
    monkeypatch.setattr(champions.board, "find", lambda: fake)
    return fake


@pytest.fixture
def actor(monkeypatch):
    """The actor without its thread, as after a change of the registry."""
    found = Champions.__new__(Champions)
    found.config, found.models, found.state = {}, OLD, {"WOLTER_HOME": "/nowhere"}
    found._notes, found._said, found._seen = {}, "", ()
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
    assert board.notes["registry"] == ""
    assert board.chosen == new


def test_without_a_board_the_line_waits(actor, monkeypatch):
    def missing():
        raise ValueError("no actor")

    monkeypatch.setattr(champions.board, "find", missing)
    monkeypatch.setattr(Champions, "_review", lambda _: {"models": OLD, "notes": {}})
    assert not actor._once()
    board = FakeBoard()
    monkeypatch.setattr(champions.board, "find", lambda: board)
    assert actor._once()
    assert board.chosen == OLD


@pytest.mark.parametrize("changed", [True, False])
def test_a_champion_promoted_while_models_load_is_looked_at(board, monkeypatch, tmp_path, changed):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    never_again = SimpleNamespace(was_current_actor_reconstructed=False)
    monkeypatch.setattr("ray.get_runtime_context", lambda: never_again)
    monkeypatch.setattr(Champions, "_run", lambda _: None)
    new = [{"name": "mlp", "version": "2"}]
    monkeypatch.setattr(Champions, "_review", lambda _: {"models": new, "notes": {}})
    seen = champions.stamp()  # here models are chosen, and load
    if changed:
        (tmp_path / "mlflow.db").touch()
    actor = Champions({}, OLD, {"WOLTER_HOME": str(tmp_path)}, seen)
    assert actor._once()
    assert board.chosen == (new if changed else OLD)
