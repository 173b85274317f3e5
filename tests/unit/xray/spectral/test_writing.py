"""Files written here are read back the same, and say what OGIP asks for."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.errors import InputError
from wolter.xray.ogip.pha import Spectrum
from wolter.xray.spectral.observation import read_observation, read_spectrum, write_spectrum
from wolter.xray.spectral.response import Response, read_response
from wolter.xray.spectral.writing import write_response

positive = st.floats(1e-9, 1e9)
names = st.text("abcXYZ019_.-", min_size=1, max_size=40).filter(
    lambda name: name.lower() not in {"none", "null", "unknown"}
)


@st.composite
def spectra(draw) -> Spectrum:
    n = draw(st.integers(1, 40))

    def per_channel(elements, dtype):
        return torch.tensor(draw(st.lists(elements, min_size=n, max_size=n)), dtype=dtype)

    def scale():
        return draw(positive) if draw(st.booleans()) else per_channel(positive, torch.float64)

    count = st.integers(0, 10**6) if draw(st.booleans()) else st.floats(0, 1e12)
    return Spectrum(
        counts_C=per_channel(count, torch.float64),
        exposure_s=draw(positive),
        backscale=scale(),
        areascale=scale(),
        first_channel=draw(st.integers(0, 2)),
        grouping_C=draw(st.none() | st.just(per_channel(st.sampled_from([-1, 0, 1]), torch.int16))),
        quality_C=draw(
            st.none() | st.just(per_channel(st.sampled_from([0, 1, 2, 5]), torch.int16))
        ),
        telescope=draw(names),
        instrument=draw(names),
        filter=draw(names),
        respfile=draw(names),
        backfile=draw(names),
    )


CARD = 1e-12


def assert_same(ours: Spectrum, theirs: Spectrum) -> None:
    for name in ("counts_C", "backscale", "areascale", "grouping_C", "quality_C"):
        left, right = getattr(ours, name), getattr(theirs, name)
        if left is None or right is None:
            assert left is right, name
        else:  # a scale that is the same in every channel comes back as one number
            left, right = (torch.as_tensor(value, dtype=torch.float64) for value in (left, right))
            left, right = torch.broadcast_tensors(left, right)
            # A number in a header has 20 characters: 13 digits at least. Columns are exact.
            rtol = CARD if name in ("backscale", "areascale") else 0
            torch.testing.assert_close(left, right, rtol=rtol, atol=0, check_dtype=False, msg=name)
    assert ours.exposure_s == pytest.approx(theirs.exposure_s, rel=CARD)
    for name in ("first_channel", "telescope", "instrument", "filter"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("respfile", "ancrfile", "backfile"):
        assert getattr(ours, name) == getattr(theirs, name), name


@settings(max_examples=60)
@given(spectrum=spectra(), packed=st.booleans())
def test_any_spectrum_comes_back(spectrum, packed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.pha.gz" if packed else "a.pha")
        write_spectrum(path, spectrum)
        assert_same(spectrum, read_spectrum(path))
        assert [file.name for file in Path(folder).iterdir()] == [path.name]


def small() -> Spectrum:
    return Spectrum(torch.tensor([1.0, 2.0]).double(), 10.0, respfile="a.rsp")


def test_header_follows_ogip(tmp_path):
    path = tmp_path / "a.pha"
    write_spectrum(path, small(), "background")
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus["SPECTRUM"].header
        assert hdus["SPECTRUM"].columns.names == ["CHANNEL", "COUNTS"]
        assert hdus["SPECTRUM"].columns["COUNTS"].format == "J"
    expected = {
        "HDUCLASS": "OGIP",
        "HDUCLAS1": "SPECTRUM",
        "HDUVERS": "1.2.1",
        "HDUCLAS2": "BKG",
        "HDUCLAS3": "COUNT",
        "POISSERR": True,
        "CHANTYPE": "PI",
        "DETCHANS": 2,
        "RESPFILE": "a.rsp",
        "ANCRFILE": "NONE",
        "BACKFILE": "NONE",
        "CORRFILE": "NONE",
        "QUALITY": 0,
        "GROUPING": 0,
    }
    assert {key: header[key] for key in expected} == expected


def test_expected_counts_are_written_as_they_are(tmp_path):
    path = tmp_path / "a.pha"
    write_spectrum(path, replace(small(), counts_C=torch.tensor([0.1, 2**31], dtype=torch.float64)))
    assert read_spectrum(path).counts_C.tolist() == [0.1, 2**31]


def test_a_spectrum_turned_round_is_written_in_the_order_of_its_file(files, tmp_path):
    files.rmf(np.eye(3, 4), [1, 2, 3, 4], [1, 2, 3, 4, 5], descending=True, kind="FULL")
    pha = files.pha([8, 7, 6, 5], RESPFILE="a.rmf")
    observation = read_observation(pha)
    write_spectrum(tmp_path / "copy.pha", observation.spectrum)
    assert read_spectrum(tmp_path / "copy.pha").counts_C.tolist() == [8, 7, 6, 5]


def test_files_there_are_kept_unless_told(tmp_path):
    path = tmp_path / "a.pha"
    write_spectrum(path, small())
    with pytest.raises(InputError, match="is there already"):
        write_spectrum(path, small())
    write_spectrum(path, replace(small(), exposure_s=20.0), overwrite=True)
    assert read_spectrum(path).exposure_s == 20


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_spectrum(tmp_path / "gone" / "a.pha", small())


@pytest.mark.parametrize("descending", [False, True])
def test_response_comes_back(tmp_path, descending):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.rand(20, 30, generator=generator) * (
        torch.rand(20, 30, generator=generator) > 0.6
    )
    matrix[3] = 0
    response = Response(
        torch.linspace(0.1, 12, 21).double(),
        matrix,
        torch.linspace(0, 11, 31).double(),
        first_channel=1,
        telescope="XMM",
        instrument="EPN",
        filter="Thin1",
        descending=descending,
    )
    path = tmp_path / "a.rsp"
    write_response(path, response)
    back = read_response(path)
    torch.testing.assert_close(back.matrix_EC, matrix, rtol=0, atol=0)
    assert back.sha256() == response.sha256()
    assert (back.telescope, back.instrument, back.filter) == ("XMM", "EPN", "Thin1")
    assert back.descending == descending


def test_a_simulated_set_is_an_observation(tmp_path):
    response = Response(
        torch.tensor([1.0, 2, 3]).double(), torch.eye(2) * 10, torch.tensor([1.0, 2, 3]).double(), 0
    )
    write_response(tmp_path / "a.rsp", response)
    background = Spectrum(torch.tensor([5.0, 6.0]).double(), 10.0, backscale=2.0)
    write_spectrum(tmp_path / "b.pha", background, "background")
    write_spectrum(tmp_path / "a.pha", replace(small(), backfile="b.pha"))
    observation = read_observation(tmp_path / "a.pha")
    assert observation.background.counts_C.tolist() == [5, 6]
    assert observation.background_scale == 0.5
    assert observation.expected_counts(torch.tensor([1.0, 0])).tolist() == [100, 0]
