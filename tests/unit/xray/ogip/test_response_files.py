"""Reading of ARF and RMF files, whole and broken."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wolter.errors import InputError
from wolter.xray.ogip.matrices import LOWEST_ENERGY_KEV, read_arf, read_rmf
from wolter.xray.spectral.response import read_response

EDGES = [1.0, 2.0, 3.0, 4.0]
CHANNELS = [0.5, 1.5, 2.5, 3.5, 4.5]
# Tail, peak, and a row of two groups.
MATRIX = np.array([[0.2, 0.8, 0, 0], [0.1, 0, 0.9, 0], [0.1, 0.1, 0, 0.8]])


@settings(max_examples=40)
@given(
    matrix=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.sampled_from([0, 0, 0.25, 1]),
    ),
    first=st.integers(0, 3),
    variable=st.booleans(),
    descending=st.booleans(),
)
def test_any_pattern_of_groups_is_read(make_files, matrix, first, variable, descending):
    if not matrix.any():
        matrix[0, 0] = 1.0
    n_energies, n_channels = matrix.shape
    with tempfile.TemporaryDirectory() as folder:
        path = make_files(Path(folder)).rmf(
            matrix,
            np.arange(1, n_energies + 2),
            np.arange(n_channels + 1),
            first=first,
            variable=variable,
            descending=descending,
        )
        rmf = read_rmf(path)
    np.testing.assert_array_equal(rmf.matrix_EC, matrix)
    np.testing.assert_array_equal(rmf.channel_edges_C1, np.arange(n_channels + 1))
    assert rmf.first_channel == first
    assert rmf.descending == (descending and n_channels > 1)


@pytest.mark.parametrize("hdu_name", ["MATRIX", "SPECRESP MATRIX", "RSP_MATRIX"])
@pytest.mark.parametrize("ebounds_first", [True, False])
def test_name_and_order_of_tables_do_not_matter(files, hdu_name, ebounds_first):
    path = files.rmf(MATRIX, EDGES, CHANNELS, hdu_name=hdu_name, ebounds_first=ebounds_first)
    np.testing.assert_array_equal(read_rmf(path).matrix_EC, MATRIX)


def test_without_tlmin_channels_count_from_the_first_of_ebounds(files):
    path = files.rmf(MATRIX, EDGES, CHANNELS, first=7, tlmin=None)
    np.testing.assert_array_equal(read_rmf(path).matrix_EC, MATRIX)


def test_gzip(files):
    path = files.rmf(MATRIX, EDGES, CHANNELS)
    packed = path.with_name("a.rmf.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read_rmf(packed).matrix_EC, MATRIX)


def test_energies_that_start_at_zero_are_raised_to_a_positive_one(files):
    path = files.rmf(MATRIX, [0, 2, 3, 4], CHANNELS)
    assert read_rmf(path).energy_edges_E1[0] == LOWEST_ENERGY_KEV


def test_groups_of_no_channels_are_padding(files):
    path = files.rmf(MATRIX[:1], EDGES[:2], CHANNELS, variable=False)
    with fits.open(path, mode="update") as hdus:
        table = hdus["MATRIX"]
        columns = [c for c in table.columns if c.name not in ("F_CHAN", "N_CHAN", "N_GRP")]
        columns += [
            fits.Column("N_GRP", "I", array=[2]),
            fits.Column("F_CHAN", "2I", array=[[0, -1]]),
            fits.Column("N_CHAN", "2I", array=[[2, 0]]),
        ]
        hdus["MATRIX"] = fits.BinTableHDU.from_columns(columns, name="MATRIX")
    np.testing.assert_array_equal(read_rmf(path).matrix_EC, MATRIX[:1])


def test_response_is_area_times_matrix(files):
    rmf = files.rmf(MATRIX, EDGES, CHANNELS, first=1)
    arf = files.arf([100, 200, 300], EDGES)
    response = read_response(rmf, arf, dtype=torch.float64)
    np.testing.assert_allclose(response.matrix_EC, MATRIX * [[100], [200], [300]])
    assert response.energy_edges_E1.tolist() == EDGES
    assert response.channel_edges_C1.tolist() == CHANNELS
    assert (response.first_channel, response.n_channels, response.n_energies) == (1, 4, 3)
    assert read_response(rmf, arf).matrix_EC.dtype == torch.float32


def test_units_of_energy_and_area_are_honoured(files):
    arf = read_arf(files.arf([1, 2, 3], np.multiply(EDGES, 1e3), unit="m2", energy_unit="eV"))
    np.testing.assert_allclose(arf.energy_edges_E1, EDGES)
    np.testing.assert_allclose(arf.area_E, [1e4, 2e4, 3e4])


def test_arf_of_more_energies_is_cut_to_the_matrix(files):
    rmf = files.rmf(MATRIX, EDGES, CHANNELS)
    arf = files.arf([1, 2, 3, 4, 5], [0.5, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(
        read_response(rmf, arf, dtype=torch.float64).matrix_EC, MATRIX * [[2], [3], [4]]
    )


@pytest.mark.parametrize("edges", [[1, 2, 3], [1.5, 2.5, 3.5, 4.5], [1, 1.7, 3, 4]])
def test_arf_of_other_energies_is_refused(files, edges):
    rmf = files.rmf(MATRIX, EDGES, CHANNELS)
    arf = files.arf(np.ones(len(edges) - 1), edges)
    with pytest.raises(InputError, match=r"a\.arf: energies .* of .*a\.rmf"):
        read_response(rmf, arf)


def broken(files, how: str) -> Path:
    """A file that is no good RMF, in the named way."""
    path = files.folder / "a.rmf"
    if how == "missing":
        return path
    if how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a FITS file\n" * 500)
    elif how == "image":
        fits.PrimaryHDU(np.zeros((4, 4))).writeto(path)
    elif how == "an ARF":
        files.arf([1, 2, 3], EDGES, name="a.rmf")
    elif how == "channel offset":
        files.rmf(MATRIX, EDGES, CHANNELS, first=0, tlmin=1)
    elif how == "two matrices":
        files.rmf(MATRIX, EDGES, CHANNELS, copies=2)
    elif how == "no response":
        files.rmf(MATRIX * 0, EDGES, CHANNELS, variable=False)
    elif how == "not finite":
        files.rmf(np.where(MATRIX > 0.5, np.nan, MATRIX), EDGES, CHANNELS)
    elif how == "energies not ascending":
        files.rmf(MATRIX, [1, 3, 2, 4], CHANNELS)
    else:
        raise AssertionError(how)
    return path


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "no such file"),
        ("empty", "empty file"),
        ("text", "not a FITS file"),
        ("image", "no binary table"),
        ("an ARF", "no MATRIX table"),
        ("channel offset", "check TLMIN"),
        ("two matrices", "2 matrices"),
        ("no response", "MATRIX is empty"),
        ("not finite", "not finite"),
        ("energies not ascending", "do not ascend"),
    ],
)
def test_broken_rmf_is_named_in_one_line(files, how, message):
    path = broken(files, how)
    with pytest.raises(InputError, match=message) as caught:
        read_rmf(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_short_anywhere_is_refused(files, packed):
    path = files.rmf(np.random.default_rng(0).random((20, 20)), np.arange(1, 22), np.arange(21))
    content = path.read_bytes()
    whole = gzip.compress(content) if packed else content
    # The last block may lack its filling; no gzip file may lack its end.
    with fits.open(path) as hdus:
        data_end = hdus[-1].fileinfo()["datLoc"] + hdus[-1].size
    end = len(whole) if packed else data_end
    for length in range(100, end, 2000 if packed else 577):
        path.write_bytes(whole[:length])
        # Where the first table is whole and the second has not begun, that one is missed.
        with pytest.raises(InputError, match=r"truncated|no EBOUNDS"):
            read_rmf(path)
    if not packed:
        path.write_bytes(whole[:end])
        assert read_rmf(path).matrix_EC.shape == (20, 20)


def test_a_matrix_that_would_fill_the_memory_is_refused(files, monkeypatch):
    monkeypatch.setattr("wolter.xray.ogip.matrices.LARGEST_MATRIX", 11)
    with pytest.raises(InputError, match="3 energies x 4 channels are too many"):
        read_rmf(files.rmf(MATRIX, EDGES, CHANNELS))


@pytest.mark.parametrize("area", [-1.0, np.nan, np.inf])
def test_impossible_areas_are_refused(files, area):
    with pytest.raises(InputError, match="finite and not negative"):
        read_arf(files.arf([1, area, 3], EDGES))


def test_unknown_unit_is_refused(files):
    with pytest.raises(InputError, match="unit 'furlong'"):
        read_arf(files.arf([1, 2, 3], EDGES, unit="furlong"))


def test_an_rmf_is_no_arf(files):
    with pytest.raises(InputError, match="is this an ARF"):
        read_arf(files.rmf(MATRIX, EDGES, CHANNELS))
