"""What `wolter train` shows while it waits."""

import contextlib

import pytest
import tyro

from wolter.commands import train as command
from wolter.train.loop import Epoch
from wolter.train.runner import TrainedRun


def test_steps_that_are_told_late_take_nothing_back(dataset, monkeypatch, capsys):
    """Steps and epochs come by two ways, of which one may lag."""
    shown = []

    @contextlib.contextmanager
    def bar(_what, total):
        assert total == 2
        yield shown.append

    def train(*_args, on_epoch, on_step, **_options):
        on_step(0.5)
        on_epoch(Epoch(1, 100, 2.0, {"loss": 0.25}))
        on_step(0.75)  # of the first epoch, which is over
        on_step(1.25)
        on_epoch(Epoch(2, 100, 2.0, {"loss": 0.125}))
        return TrainedRun("run", "mlp", "1", dataset.path, {})

    monkeypatch.setattr(command, "bar", bar)
    monkeypatch.setattr(command, "train", train)
    words = ["mlp", "--data", str(dataset.path), "--train.epochs", "2"]
    assert tyro.cli(command.command(words), args=words).run() == 0
    assert shown == pytest.approx([0.5, 0.5, 0, 0.25, 0.75])
    assert "epoch 2/2  loss 0.125  50 samples/s" in capsys.readouterr().out
