"""Options of commands from TOML files."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
import tyro

from wolter import cli
from wolter.commands import config_file
from wolter.errors import InputError


@dataclass(frozen=True)
class Part:
    size: int = 1
    rate: float = 0.5


@dataclass(frozen=True)
class Command:
    """Do something.

    Attributes:
        out: where to.
        files: what from.
        pairs: given again and again.
        title: a text.
        limit: None for no limit.
        part: nested options.
    """

    out: Path
    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    pairs: Annotated[tuple[tuple[float | str, ...], ...], tyro.conf.UseAppendAction] = ()
    title: str = 'say "no"'
    limit: float | None = None
    part: Part = field(default_factory=Part)


def parsed(text: str, *arguments: str, path: Path) -> Command:
    path.write_text(text)
    values = config_file.read(path)
    return config_file.parse(Command, arguments, "wolter it", values, path)


def test_the_file_is_the_default_and_flags_win(tmp_path):
    text = 'out = "a"\npairs = [["nh", 0.05, "log"]]\nlimit = 2\n[part]\nsize = 3\n'
    found = parsed(text, "--part.rate", "0.1", "--out", "b", path=tmp_path / "c.toml")
    assert found == Command(Path("b"), (), (("nh", 0.05, "log"),), limit=2.0, part=Part(3, 0.1))


def test_what_is_written_is_read_back(tmp_path):
    given = ["f", "--out", "a", "--pairs", "x", "1", "--part.size", "7", "--limit", "1e-9"]
    text = config_file.written(Command, given, "wolter it")
    assert parsed(text, path=tmp_path / "c.toml") == tyro.cli(Command, args=given)


def test_required_options_are_commented_out(tmp_path):
    text = config_file.written(Command, [], "wolter it")
    assert "# out = (required)" in text
    assert tomllib.loads(text)["part"] == {"size": 1, "rate": 0.5}
    assert parsed(text, "--out", "b", path=tmp_path / "c.toml") == Command(Path("b"))


def test_required_options_of_neither_file_nor_flags_are_asked_for(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parsed("limit = 2.0", path=tmp_path / "c.toml")
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sizes = 1", "unknown key sizes"),
        ("[part]\nspeed = 1", "unknown key part.speed"),
        ('limit = "high"', "limit: "),
        ("[part]\nsize = 1.5", "part.size"),
        ("out = ", "not valid TOML"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"c\.toml: .*{message}"):
        parsed(text, path=tmp_path / "c.toml")


def test_the_option_is_taken_out_of_the_arguments():
    assert config_file.split(["--config", "a.toml", "x"]) == (["x"], Path("a.toml"))
    assert config_file.split(["x", "--config=a.toml"]) == (["x"], Path("a.toml"))
    assert config_file.split(["x"]) == (["x"], None)
    with pytest.raises(InputError, match="--config: give a TOML file"):
        config_file.split(["--config", "--out"])


def test_the_family_of_the_file_chooses_the_options():
    assert config_file.with_family(["--n", "1"], {"family": "mlp"}) == ["mlp", "--n", "1"]
    assert config_file.with_family(["cnn"], {"family": "mlp"}) == ["cnn"]
    assert config_file.with_family([], {}) == []


def test_the_options_of_a_family_are_written_and_read(tmp_path, capsys):
    assert cli.main(["config", "train", "posterior", "--train.epochs", "3"]) == 0
    text = capsys.readouterr().out
    values = tomllib.loads(text)
    assert (values["family"], values["train"]["epochs"]) == ("posterior", 3)
    assert values["model"]["transforms"] == 3
    path = tmp_path / "train.toml"
    path.write_text(text.replace("width = 384", "height = 384"))
    assert cli.main(["train", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert "height" in error
