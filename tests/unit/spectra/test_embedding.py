"""Latents of spectrum files in three lines of Python."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import wolter
from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.spectra.predict import predict_files


@pytest.fixture
def folder(untrained):
    return str(untrained("autoencoder"))


def test_rows_are_the_latents_of_the_files_in_their_order(folder, pha):
    fewer = pha.with_name("fewer.pha")
    shutil.copy(pha, fewer)
    with fits.open(fewer, mode="update") as hdus:
        hdus["SPECTRUM"].data["COUNTS"] //= 3
    latents = wolter.embed([fewer, str(pha), fewer], version=folder)
    assert latents.shape == (3, 8)
    assert latents.dtype == np.float32
    table = predict_files(load_model(Path(folder)), [pha, fewer])
    for row, latent_L in zip(table, (latents[1], latents[0]), strict=True):
        expected = [row[f"latent_{i}"] for i in range(8)]
        np.testing.assert_allclose(latent_L, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(latents[0], latents[2], rtol=1e-4, atol=1e-5)
    assert np.abs(latents[0] - latents[1]).max() > 1e-3
    np.testing.assert_allclose(wolter.embed(pha, version=folder), latents[1:2], atol=1e-5)


def test_a_file_without_latents_is_raised_or_told(folder, pha):
    empty = pha.with_name("empty.pha")
    shutil.copy(pha, empty)
    with fits.open(empty, mode="update") as hdus:
        hdus["SPECTRUM"].data["COUNTS"] = 0
    missing = pha.with_name("missing.pha")
    files = [missing, pha, empty]
    with pytest.raises(InputError, match=r"missing\.pha"):
        wolter.embed(files, version=folder)
    with pytest.raises(InputError, match=r"empty\.pha: no counts in 0\.3 to 10 keV"):
        wolter.embed(empty, version=folder)
    rejects = []
    latents = wolter.embed(files, version=folder, rejects=rejects)
    assert latents.shape == (1, 8)
    assert [file for file, _ in rejects] == [str(missing), str(empty)]
    assert "no counts" in rejects[1][1]
    assert wolter.embed([missing], version=folder, rejects=[]).shape == (0, 8)
    assert wolter.embed([], version=folder).shape == (0, 8)


def test_other_responses_may_be_given(folder, pha):
    embedded = wolter.embed(pha, version=folder, background="none")
    assert not np.array_equal(embedded, wolter.embed(pha, version=folder))


@pytest.mark.parametrize("model", ["mlp", "superres"])
def test_families_without_latents_of_spectra_are_refused(model, pha):
    with pytest.raises(InputError, match=f"family {model} gives no latents of spectra"):
        wolter.embed(pha, model, "pretrained")
    with pytest.raises(AttributeError, match="has no attribute 'embeds'"):
        _ = wolter.embeds


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, wolter; sys.exit(bool({'torch', 'ray', 'numpy'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)
