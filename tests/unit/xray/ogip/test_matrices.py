"""Limits of areas and matrices at their exact value, and what tells that a matrix holds an area."""

import numpy as np
import pytest
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.ogip import matrices
from wolter.xray.ogip.matrices import read_arf, read_rmf

EDGES = [1.0, 2.0, 3.0, 4.0]
CHANNELS = [0.5, 1.5, 2.5, 3.5, 4.5]
MATRIX = np.array([[0.2, 0.8, 0, 0], [0.1, 0, 0.9, 0], [0.1, 0.1, 0, 0.8]])


def changed(path, table, *, unit=None, **columns):
    """The file with other values in some columns of a table, or a unit of MATRIX."""
    with fits.open(path, mode="update") as hdus:
        for name, values in columns.items():
            hdus[table].data[name] = values
        if unit is not None:
            number = hdus[table].columns.names.index("MATRIX") + 1
            hdus[table].header[f"TUNIT{number}"] = unit
    return path


@pytest.mark.parametrize(
    ("kind", "unit", "scale", "says", "has", "needs"),
    [
        ("REDIST", None, 1, False, False, True),
        ("DETECTOR", None, 1, False, False, True),
        ("REDIST", None, 100, False, False, True),
        ("FULL", None, 1, True, True, False),
        ("RSP_MATRIX", None, 1, True, True, False),
        ("", None, 1, False, False, False),
        ("", None, 1.998, False, False, False),
        ("", None, 2.002, False, True, False),
        ("OTHER", None, 100, False, False, False),
        ("REDIST", "cm2", 1, True, True, True),
        ("", "cm**2", 1, True, True, False),
    ],
)
def test_what_tells_that_a_matrix_holds_an_area(files, kind, unit, scale, says, has, needs):
    path = files.rmf(scale * MATRIX, EDGES, CHANNELS, kind=kind, variable=False)
    if unit:
        changed(path, "MATRIX", unit=unit)
    rmf = read_rmf(path)
    assert rmf.n_channels == 4
    assert rmf.largest_sum == pytest.approx(scale)
    assert rmf.has_unit is (unit is not None)
    assert (rmf.says_area, rmf.has_area, rmf.needs_area) == (says, has, needs)


def test_a_matrix_in_square_metres_is_read_in_square_centimetres(files):
    path = changed(files.rmf(MATRIX, EDGES, CHANNELS, variable=False), "MATRIX", unit="m2")
    np.testing.assert_allclose(read_rmf(path).matrix_EC, 1e4 * MATRIX)


def test_areas_up_to_the_largest(files, monkeypatch):
    monkeypatch.setattr(matrices, "LARGEST_AREA_CM2", 50.0)
    assert read_arf(files.arf([0, 0.5, 50], EDGES)).area_E.tolist() == [0, 0.5, 50]
    with pytest.raises(InputError, match="finite and not negative"):
        read_arf(files.arf([0, 50.001, 1], EDGES))
    with pytest.raises(InputError, match="finite and not negative"):
        read_arf(files.arf([0, -1e-9, 1], EDGES))
    limit = np.array([[50.0, 0, 0, 0]])
    np.testing.assert_array_equal(read_rmf(files.rmf(limit, EDGES[:2], CHANNELS)).matrix_EC, limit)
    with pytest.raises(InputError, match="beyond any area"):
        read_rmf(files.rmf(1.001 * limit, EDGES[:2], CHANNELS))


def test_areas_of_several_orders_are_refused(files):
    columns = [
        fits.Column("ENERG_LO", "D", unit="keV", array=[1.0, 2.0]),
        fits.Column("ENERG_HI", "D", unit="keV", array=[2.0, 3.0]),
        fits.Column("SPECRESP", "2D", unit="cm2", array=[[1.0, 2.0], [3.0, 4.0]]),
    ]
    path = files._write("b.arf", [fits.BinTableHDU.from_columns(columns, name="SPECRESP")])
    with pytest.raises(InputError, match="several areas a row"):
        read_arf(path)


@pytest.mark.parametrize("channels", [[0, 1, 3, 4], [0, 2, 1, 3], [0, 0, 1, 2], [0, -1, -2, -3]])
def test_channels_that_are_not_consecutive_are_refused(files, channels):
    path = changed(files.rmf(MATRIX, EDGES, CHANNELS), "EBOUNDS", CHANNEL=channels)
    with pytest.raises(InputError, match="not consecutive"):
        read_rmf(path)


def test_channel_bounds_may_leave_gaps_and_energies_may_not(files):
    path = changed(files.rmf(MATRIX, EDGES, CHANNELS), "EBOUNDS", E_MAX=[1.4, 2.4, 3.4, 4.5])
    assert read_rmf(path).channel_edges_C1.tolist() == CHANNELS
    path = changed(files.rmf(MATRIX, EDGES, CHANNELS), "MATRIX", ENERG_HI=[1.9, 3.0, 4.0])
    with pytest.raises(InputError, match="leave a gap or overlap after row 1"):
        read_rmf(path)


def test_a_single_energy_or_channel_is_not_turned_round(files):
    rmf = read_rmf(files.rmf([[0.7]], [1, 2], [3, 4], descending=True))
    assert (rmf.descending, rmf.matrix_EC.tolist()) == (False, [[0.7]])
    assert rmf.energy_edges_E1.tolist() == [1, 2]


def test_energies_that_descend_are_turned_round_with_matrix_and_area(files):
    path = files.rmf(MATRIX, EDGES, CHANNELS, variable=False)
    with fits.open(path, mode="update") as hdus:
        hdus["MATRIX"].data = hdus["MATRIX"].data[::-1].copy()
    rmf = read_rmf(path)
    np.testing.assert_array_equal(rmf.matrix_EC, MATRIX)
    assert rmf.energy_edges_E1.tolist() == EDGES
    assert not rmf.descending
    path = files.arf([10, 20, 30], EDGES)
    with fits.open(path, mode="update") as hdus:
        hdus[1].data = hdus[1].data[::-1].copy()
    assert read_arf(path).area_E.tolist() == [10, 20, 30]
    path = files.arf([10, 20], EDGES[:3])  # the first and the last are all there are
    with fits.open(path, mode="update") as hdus:
        hdus[1].data = hdus[1].data[::-1].copy()
    assert read_arf(path).area_E.tolist() == [10, 20]


def test_a_file_of_no_energies_is_refused(files):
    path = files.arf([10, 20], EDGES[:3])
    with fits.open(path, mode="update") as hdus:
        hdus[1].data = hdus[1].data[:0].copy()
    with pytest.raises(InputError, match="no energy bins; fetch it again"):
        read_arf(path)


@pytest.mark.parametrize(
    ("edges", "first"),
    [
        ([0, 2, 3, 4], 1e-3),
        ([0, 1e-3, 3, 4], 5e-4),
        ([0, 4e-3, 3, 4], 1e-3),
        ([1e-4, 2, 3, 4], 1e-4),
    ],
)
def test_energies_from_zero_start_at_one_electronvolt_or_half_the_first_bound(files, edges, first):
    assert read_rmf(files.rmf(MATRIX, edges, CHANNELS)).energy_edges_E1[0] == pytest.approx(first)


def test_negative_energies_and_bins_without_any_width_are_refused(files):
    with pytest.raises(InputError, match="energies are negative"):
        read_rmf(files.rmf(MATRIX, [-1, 2, 3, 4], CHANNELS))
    with pytest.raises(InputError, match="no energy bin has a width"):
        read_rmf(files.rmf(MATRIX, [2, 2, 2, 2], CHANNELS))
    kept = read_rmf(files.rmf(MATRIX, [1, 2, 2, 3], CHANNELS))  # standard responses hold some
    assert kept.energy_edges_E1.tolist() == [1, 2, 2, 3]


def test_as_many_cells_as_may_be_are_unpacked(files, monkeypatch):
    monkeypatch.setattr(matrices, "LARGEST_MATRIX", 12)
    assert read_rmf(files.rmf(MATRIX, EDGES, CHANNELS)).matrix_EC.size == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"N_GRP": [3, 1, 1]}, "fewer groups than its N_GRP"),
        ({"N_GRP": [-1, 1, 1]}, "fewer groups than its N_GRP"),
        ({"F_CHAN": [[3, 0], [0, 2], [0, 3]]}, "MATRIX uses channels 0-4 but EBOUNDS has 4 from 0"),
        ({"F_CHAN": [[-1, 0], [0, 2], [0, 3]]}, "MATRIX uses channels -1-3"),
        ({"N_CHAN": [[4, 0], [1, 1], [2, 1]]}, "a row of MATRIX is shorter than its groups"),
    ],
)
def test_groups_that_do_not_fit_are_refused(files, change, message):
    path = changed(files.rmf(MATRIX, EDGES, CHANNELS, variable=False), "MATRIX", **change)
    with pytest.raises(InputError, match=message):
        read_rmf(path)


def test_groups_that_overlap_add_up(files):
    path = files.rmf(MATRIX, EDGES, CHANNELS, variable=False)
    changed(path, "MATRIX", F_CHAN=[[0, 0], [0, 0], [0, 0]], N_CHAN=[[2, 0], [1, 1], [2, 1]])
    found = read_rmf(path).matrix_EC
    np.testing.assert_allclose(found[1], [1.0, 0, 0, 0])
    np.testing.assert_allclose(found[2], [0.9, 0.1, 0, 0])


def test_channels_beyond_all_numbers_are_refused(files):
    path = files.rmf(MATRIX, EDGES, CHANNELS)
    with fits.open(path, mode="update") as hdus:
        names = ("E_MIN", "E_MAX")
        columns = [hdus["EBOUNDS"].columns[name] for name in names]
        numbers = 1e10 + np.arange(4)
        columns.append(fits.Column("CHANNEL", "D", array=numbers))
        hdus["EBOUNDS"] = fits.BinTableHDU.from_columns(columns, name="EBOUNDS")
    with pytest.raises(InputError, match="not consecutive"):
        read_rmf(path)
