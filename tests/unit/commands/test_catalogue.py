"""Commands of releases: list, use, verify, export."""

import astropy.table
import pytest
from tests.releases import random_release

from wolter.catalogue import release
from wolter.cli import main


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    return random_release(release.folder(), 40)


def test_a_release_is_listed_and_used(made, capsys):
    assert main(["catalogue", "use", "R1"]) == 0
    assert main(["catalogue", "list"]) == 0
    assert "* R1  2026-01-01T00:00:00Z  40 sources" in capsys.readouterr().out
    assert release.current() == made


def test_a_changed_file_is_found(made, capsys):
    assert main(["catalogue", "verify", "R1"]) == 0
    (made / release.LATENTS).write_bytes(b"")
    assert main(["catalogue", "verify", "R1"]) == 1
    assert "latents.npy: its SHA-256 differs" in capsys.readouterr().out


def test_a_table_is_exported_with_units(made, tmp_path, capsys):
    out = tmp_path / "e.parquet"
    assert main(["catalogue", "export", str(out), "--name", "R1", "--table", "detection"]) == 0
    table = astropy.table.Table.read(out, format="parquet.votable")
    assert len(table) == 40
    assert str(table["exposure_s"].unit) == "s"
    assert main(["catalogue", "export", str(out), "--name", "R1", "--table", "no"]) == 2
    assert "choose one of source" in capsys.readouterr().err
