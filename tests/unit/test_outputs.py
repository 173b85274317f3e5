"""Commands that write check where to before they work."""

import pytest

from wolter.cli import main
from wolter.xray.spectral.observation import read_spectrum


def refused(capsys, *arguments):
    assert main([str(each) for each in arguments]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


@pytest.fixture
def never(monkeypatch):
    """What reads or computes is not reached."""

    def reached(*_, **__):
        raise AssertionError("worked before the output was checked")

    for name in (
        "commands.predict.load_model", "commands.predict.find", "spectra.commands.fit.fit_files",
        "commands.evaluate.load_model", "commands.export.load_model", "commands.tune.plan",
        "commands.bench._load",
    ):  # fmt: skip
        monkeypatch.setattr(f"wolter.{name}", reached)


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize("command", [("predict", "mlp"), ("fit",)])
def test_tables(pha, tmp_path, capsys, command):
    link = tmp_path / "link.fits"
    link.symlink_to(pha)
    background = tmp_path / "background.fits"
    (tmp_path / "background.pha").rename(background)
    for out, words in (
        ("/proc/none/t.fits", "/proc/none: cannot be created"),
        (tmp_path / "t.png", "no table format has the suffix '.png'"),
        (link, "which would be lost"),
        (background, "holds a spectrum"),
    ):
        assert words in refused(capsys, *command, pha, "--out", out)
    (tmp_path / "t.rejects.parquet").symlink_to(pha)
    assert "would be lost" in refused(capsys, *command, pha, "--out", tmp_path / "t.fits")
    assert read_spectrum(pha).counts_C.sum() > 0


@pytest.mark.usefixtures("never")
def test_pictures_of_spectra(pha, tmp_path, capsys):
    words = refused(
        capsys, "predict", "mlp", pha, "--out", tmp_path / "t.fits", "--plots", pha / "plots"
    )
    assert "plots: cannot be created" in words


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "mlp", "--data", "nowhere", "--out", "/proc/none"),
        ("tune", "mlp", "--json", "/proc/none/a.json"),
        ("bench", "fit", "--json", "/proc/none/a.json"),
    ],
)
def test_folders_and_figures(capsys, arguments):
    assert "/proc/none: cannot be created" in refused(capsys, *arguments)
