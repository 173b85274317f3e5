import gzip
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.cli import main
from wolter.errors import InputError
from wolter.images.fits_output import expected_counts, write
from wolter.images.predict import enhance_picture
from wolter.registry.checkpoint import load_model
from wolter.xray.imaging.consistency import significance_around
from wolter.xray.imaging.counts_image import read_counts_image

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("axis_yx", [None, (200.0, -50.0)])
def test_expected_counts_come_from_the_file_alone(picture_file, enhancer, scale, axis_yx):
    """And CHECK is what they and the photons make it."""
    picture = replace(read_counts_image(picture_file), axis_yx=axis_yx)
    ramp_HW = torch.linspace(0.5, 1, 61)[:, None].expand(-1, 50)
    picture = replace(picture, exposure_HW=picture.exposure_HW * ramp_HW)
    out = picture_file.with_name("out.fits")
    write(enhance_picture(load_model(enhancer(scale)), picture), out)
    expected_HW = expected_counts(out)
    with fits.open(out) as hdus:
        assert (hdus["EXPMAP"].header["BUNIT"], hdus["BACKGROUND"].header["BUNIT"]) == (
            "s",
            "count",
        )
        assert np.allclose(hdus["EXPMAP"].data, picture.exposure_HW)
        assert 0.2 < hdus["BACKGROUND"].data.mean() < 0.5
        check_HW = torch.from_numpy(hdus["CHECK"].data.astype(np.float32))
    ours_HW = significance_around(picture.counts_HW, expected_HW, picture.exposure_HW, 4.0)
    assert torch.allclose(ours_HW, check_HW, atol=1e-3)
    assert float(expected_HW.min()) > 0.1


def test_expected_counts_are_of_our_own_files_alone(picture_file):
    with pytest.raises(InputError, match=r"field\.fits: no answer of wolter predict superres"):
        expected_counts(picture_file)


def test_a_name_in_gz_is_gzipped(picture_file, enhancer):
    enhanced = enhance_picture(load_model(enhancer(1)), read_counts_image(picture_file))
    plain, zipped = (picture_file.with_name(name) for name in ("out.fits", "out.fits.gz"))
    for path in (plain, zipped):
        write(enhanced, path)
    assert gzip.decompress(zipped.read_bytes()) == plain.read_bytes()


def run(picture_file, enhancer, *options):
    arguments = ["predict", "superres", str(picture_file), "--task", "denoise", *map(str, options)]
    return main([*arguments, "--checkpoint", str(enhancer(1))])


@pytest.mark.parametrize("way", ["same", "symlink", "relative", "hard link"])
@pytest.mark.parametrize("role", ["image", "--exposure-map", "--mask", "--compare"])
def test_no_input_is_written_over(picture_file, enhancer, capsys, monkeypatch, way, role):
    given = picture_file
    options = []
    if role != "image":
        given = picture_file.with_name("given.fits")
        fits.writeto(given, np.full((61, 50), 2e4, np.float32), fits.getheader(picture_file))
        options = [role, given]
    before = given.read_bytes()
    out = given
    if way == "symlink":
        out = given.with_name("link.fits")
        out.symlink_to(given)
    elif way == "hard link":
        out = given.with_name("hard.fits")
        out.hardlink_to(given)
    elif way == "relative":
        monkeypatch.chdir(given.parent)
        out = f"../{given.parent.name}/{given.name}"
    assert run(picture_file, enhancer, *options, "-o", out) == 2
    line = capsys.readouterr().err
    assert f"is {given}, which would be lost" in line
    assert line.count("\n") == 1
    assert given.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "out.png"], "out.png: give a name that ends in .fits"),
        (["-o", "out"], "give a name that ends in .fits"),
        (["-o", "out.fits", "--plot", "plot.fits"], "plot.fits: give a name that ends in .png"),
        (["-o", "out.fits", "--plot", "plot.gz"], "plot.gz: give a name that ends in .png"),
        (["-o", "folder.fits"], "folder.fits: a folder"),
        (["-o", "out.fits", "--plot", "/proc/none/a.png"], "/proc/none"),
        (["-o", f"{'a' * 240}.fits"], "a shorter one"),
    ],
)
def test_outputs_are_checked_before_the_work(
    picture_file, enhancer, capsys, monkeypatch, options, words
):
    def never(*_):
        raise AssertionError("read before its output was checked")

    monkeypatch.chdir(picture_file.parent)
    monkeypatch.setattr("wolter.images.tasks.read_counts_image", never)
    picture_file.with_name("folder.fits").mkdir()
    assert run(picture_file, enhancer, *options) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("suffix", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_a_picture_is_what_its_name_says(picture_file, enhancer, suffix, begins):
    plot = picture_file.with_name(f"plot.{suffix}")
    out = picture_file.with_name("out.fits.gz")
    assert run(picture_file, enhancer, "-o", out, "--plot", plot) == 0
    assert plot.read_bytes().startswith(begins)
    assert out.read_bytes().startswith(b"\x1f\x8b")
