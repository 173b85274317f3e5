"""Spectra and responses in the forms that archives write: the right numbers, or why not."""

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.ogip import units
from wolter.xray.ogip.matrices import read_arf, read_rmf
from wolter.xray.ogip.pha import read_spectra
from wolter.xray.spectral.observation import read_observation, read_spectrum
from wolter.xray.spectral.response import read_response

EDGES = [1.0, 2.0, 3.0, 4.0]
CHANNELS = [1.0, 2.0, 3.0, 4.0]
AREA = [10.0, 20.0, 30.0]


def change(path, extension, **columns):
    """Replace columns of a table, with their units where a pair of values and unit is given."""
    with fits.open(path, mode="update") as hdus:
        table = hdus[extension]
        kept = [column for column in table.columns if column.name not in columns]
        made = []
        for name, given in columns.items():
            values, unit = given if isinstance(given, tuple) else (given, None)
            made.append(fits.Column(name, "D", unit=unit, array=np.asarray(values, float)))
        new = fits.BinTableHDU.from_columns(made + kept, name=table.name)
        hdus[extension] = new
    return path


@pytest.mark.parametrize("first", [0.0, 0.001, 0.5, 1.5])
@pytest.mark.parametrize("of", ["arf", "rmf"])
def test_only_the_first_low_edge_may_differ(files, first, of):
    edges = {"arf": EDGES, "rmf": EDGES, of: [first, *EDGES[1:]]}
    rmf, arf = files.rmf(np.eye(3), edges["rmf"], CHANNELS), files.arf(AREA, edges["arf"])
    response = read_response(rmf, arf, dtype=torch.float64)
    assert response.matrix_EC.tolist() == np.diag(AREA).tolist()
    assert response.energy_edges_E1[1:].tolist() == EDGES[1:]
    assert response.energy_edges_E1[0] == (max(first, 1e-3) if of == "rmf" else 1)


@pytest.mark.parametrize("which", [1, 2, 3])
@pytest.mark.parametrize(("shift", "same"), [(0.09, True), (-0.09, True), (0.11, False)])
def test_other_edges_agree_to_a_tenth_of_a_bin(files, which, shift, same):
    edges = np.array(EDGES)
    edges[which] += shift
    rmf, arf = files.rmf(np.eye(3), EDGES, CHANNELS), files.arf(AREA, edges)
    if same:
        assert read_response(rmf, arf).matrix_EC.sum() == 60
        return
    with pytest.raises(InputError, match=r"a\.arf: energies .* of .*a\.rmf; make both"):
        read_response(rmf, arf)


def test_an_arf_of_more_energies_has_all_edges_of_the_matrix(files):
    rmf = files.rmf(np.eye(3), [0.5, 2, 3, 4], CHANNELS)
    arf = files.arf([5, 10, 20, 30], [0, 1, 2, 3, 4])
    with pytest.raises(InputError, match="differ from"):
        read_response(rmf, arf)


@pytest.mark.parametrize(
    "edges", [[1, 1, 2, 2, 3, 4, 4], [0, 0, 2, 3, 3, 3, 4], [1, 2, 2, 2, 3, 3, 4]]
)
def test_bins_of_no_width_see_nothing(files, edges):
    edges = np.array(edges, float)
    wide = np.diff(edges) > 0
    matrix = np.full((6, 3), 0.5)
    matrix[wide] = np.eye(3)
    area = np.full(6, 7.0)
    area[wide] = AREA
    rmf, arf = files.rmf(matrix, edges, CHANNELS), files.arf(area, edges)
    response = read_response(rmf, arf, dtype=torch.float64)
    assert response.matrix_EC.tolist() == np.diag(AREA).tolist()
    assert (response.energy_edges_E1.diff() > 0).all()
    assert response.n_energies == 3
    counts_C = response.fold(torch.ones(3), 10.0)
    assert counts_C.tolist() == [100, 200, 300]


def test_energies_that_descend_are_turned_round(files):
    rmf, arf = files.rmf(np.eye(3), EDGES, CHANNELS, variable=False), files.arf(AREA, EDGES)
    expected = read_response(rmf, arf)
    for path in (rmf, arf):
        with fits.open(path, mode="update") as hdus:
            hdus[1].data = hdus[1].data[::-1].copy()
    turned = read_response(rmf, arf)
    assert turned.matrix_EC.tolist() == expected.matrix_EC.tolist()
    assert turned.energy_edges_E1.tolist() == EDGES


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("", 1), ("cm2", 1), ("cm^2", 1), ("cm**2", 1), ("CM**2", 1), ("cm**(2)", 1), ("m2", 1e4),
        ("m**2", 1e4), ("mm**2", 1e-2), ("cm**2 count photon**-1", 1), ("cm2 counts/photon", 1),
        ("cm**2 counts / photons", 1), ("cm2 ct/ph", 1), ("m**2 count/photon", 1e4),
        ("cm**2 count", 1), ("10**2 cm**2", 1e2),
    ],
)  # fmt: skip
def test_units_of_areas(files, unit, factor):
    assert units.factor(unit, "area") == pytest.approx(factor)
    np.testing.assert_allclose(
        read_arf(files.arf(AREA, EDGES, unit=unit)).area_E, factor * np.array(AREA)
    )


@pytest.mark.parametrize(
    "unit", ["furlong", "keV", "cm", "cm**3", "count/s", "cm**2/s", "cm2 keV", "?"]
)
def test_what_is_no_area_is_refused(files, unit):
    with pytest.raises(InputError, match=r"SPECRESP has unit .*; expected cm\*\*2 or m\*\*2"):
        read_arf(files.arf(AREA, EDGES, unit=unit))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("keV", 1),
        ("KEV", 1),
        ("eV", 1e3),
        ("MeV", 1e-3),
        ("MEV", 1e-3),
        ("GeV", 1e-6),
        ("J", 1.602e-16),
        ("", 1),
    ],
)
def test_units_of_energies_and_channel_bounds(files, unit, factor):
    given = np.array(EDGES) * factor
    rmf = files.rmf(np.eye(3), EDGES, CHANNELS)
    low_high = {"E_MIN": (given[:-1], unit), "E_MAX": (given[1:], unit)}
    change(rmf, "EBOUNDS", **low_high)
    np.testing.assert_allclose(read_rmf(rmf).channel_edges_C1, EDGES, rtol=1e-3)
    np.testing.assert_allclose(
        read_arf(files.arf(AREA, given, energy_unit=unit)).energy_edges_E1, EDGES, rtol=1e-3
    )


def test_a_matrix_in_square_metres(files):
    rmf = files.rmf(0.001 * np.eye(3), EDGES, CHANNELS, kind="FULL")
    with fits.open(rmf, mode="update") as hdus:
        hdus["MATRIX"].header["TUNIT6"] = "m**2"
    np.testing.assert_allclose(read_response(rmf).matrix_EC, 10 * np.eye(3))


@pytest.mark.parametrize(
    ("kind", "size", "alone"),
    [
        ("REDIST", 1, False), ("DETECTOR", 1, False), ("DETECTOR", 0.8, False), ("", 1, False),
        ("none", 1, False), ("SOMETHING", 1, False), ("REDIST", 100, False),
        ("FULL", 100, True), ("full", 100, True), ("FULL", 0.3, True), ("RSP", 100, True),
        ("", 100, True),
    ],
)  # fmt: skip
def test_a_matrix_alone_must_hold_the_area(files, kind, size, alone):
    rmf = files.rmf(size * np.eye(3), EDGES, CHANNELS, kind=kind)
    pha = files.pha([1, 2, 3], RESPFILE="a.rmf")
    if alone:
        assert read_observation(pha).response.matrix_EC.max() == pytest.approx(size)
        assert read_response(rmf).matrix_EC.max() == pytest.approx(size)
        return
    said = "no HDUCLAS3" if kind in ("", "none") else f"HDUCLAS3 {kind}"
    told = rf"a\.rmf: a redistribution matrix \({said}\) holds no effective area; pass its ARF"
    for read in (lambda: read_observation(pha), lambda: read_response(rmf)):
        with pytest.raises(InputError, match=told):
            read()


@pytest.mark.parametrize(
    ("kind", "size", "believed"),
    [("REDIST", 1, False), ("DETECTOR", 1, False), ("", 1, True), ("REDIST", 5, True)],
)
def test_none_as_arf_is_believed_where_the_file_does_not_deny_it(files, kind, size, believed):
    rmf = files.rmf(size * np.eye(3), EDGES, CHANNELS, kind=kind)
    if believed:
        assert read_response(rmf, "none").matrix_EC.max() == size
        return
    with pytest.raises(InputError, match="holds no effective area"):
        read_response(rmf, "none")


@pytest.mark.parametrize(
    ("kind", "size", "unit", "twice"),
    [
        ("FULL", 100, None, True), ("RSP", 100, None, True), ("", 100, None, True),
        ("REDIST", 100, None, True), ("FULL", 1.1, None, True), ("FULL", 1.04, None, False),
        ("FULL", 0.3, "cm**2", True), ("", 0.3, "cm2", True),
        ("FULL", 1, None, False), ("DETECTOR", 1.2, None, False), ("REDIST", 1, "au", False),
    ],
)  # fmt: skip
def test_the_area_is_never_counted_twice(files, kind, size, unit, twice):
    rmf = files.rmf(size * np.eye(3), EDGES, CHANNELS, kind=kind)
    if unit:
        with fits.open(rmf, mode="update") as hdus:
            hdus["MATRIX"].header["TUNIT6"] = unit
    arf = files.arf(AREA, EDGES)
    pha = files.pha([1, 2, 3], RESPFILE="a.rmf", ANCRFILE="a.arf")
    if not twice:
        np.testing.assert_allclose(
            read_response(rmf, arf).matrix_EC, size * np.diag(AREA), rtol=1e-6
        )
        return
    for read in (lambda: read_observation(pha), lambda: read_response(rmf, arf)):
        with pytest.raises(InputError, match=r'a\.rmf: .* count it twice; pass "none" as ARF'):
            read()


def test_rows_of_no_group_and_columns_of_one_length(files):
    matrix = np.array([[0, 0, 0], [0.5, 0, 0.5], [0, 1, 0]])
    for variable in (True, False):
        rmf = files.rmf(matrix, EDGES, CHANNELS, variable=variable, tlmin=None)
        assert read_rmf(rmf).matrix_EC.tolist() == matrix.tolist()


def grating(files, columns=("BACKGROUND_UP", "BACKGROUND_DOWN"), **keys):
    values = {"BACKGROUND_UP": [4, 5, 6], "BACKGROUND_DOWN": [1, 2, 3]}
    return files.pha([10, 20, 30], columns={name: values[name] for name in columns}, **keys)


def test_backgrounds_on_either_side_add_up(files):
    source, background = read_spectra(grating(files, BACKSCUP=4.0, BACKSCDN=3.0, AREASCAL=0.5))
    assert source.counts_C.tolist() == [10, 20, 30]
    assert background.counts_C.tolist() == [5, 7, 9]
    assert (background.backscale, background.areascale, background.exposure_s) == (7, 0.5, 1000)
    assert source.backscale == 1
    again = read_spectrum(grating(files, BACKSCUP=4.0, BACKSCDN=3.0), "background")
    assert again.counts_C.tolist() == [5, 7, 9]


def test_a_background_on_one_side_alone(files):
    _, background = read_spectra(grating(files, ("BACKGROUND_DOWN",), BACKSCDN=3.0))
    assert background.counts_C.tolist() == [1, 2, 3]
    assert background.backscale == 3


def test_scales_of_sides_by_channel(files):
    path = files.pha(
        [1, 2],
        columns={"BACKGROUND_UP": [3, 4], "BACKSCUP": [2.0, 4.0], "BACKGROUND_DOWN": [5, 6]},
        BACKSCDN=1.0,
    )
    assert read_spectra(path)[1].backscale.tolist() == [3, 5]


def test_sides_without_their_scale_are_refused(files):
    with pytest.raises(
        InputError, match="BACKGROUND_DOWN without its scale; add the keyword BACKSCDN"
    ):
        read_spectra(grating(files, BACKSCUP=4.0))


def test_a_named_background_takes_the_place_of_the_sides(files):
    files.set()
    path = files.pha(
        [5, 6, 7, 8],
        columns={"BACKGROUND_UP": [9, 9, 9, 9]},
        BACKSCUP=4.0,
        RESPFILE="a.rmf",
        ANCRFILE="a.arf",
        BACKFILE="b.pha",
    )
    assert read_observation(path).background.counts_C.tolist() == [1, 1, 1, 1]
    assert read_observation(path, background="none").background is None


@pytest.mark.parametrize("copy", [False, True])
def test_a_spectrum_is_not_its_own_background(files, copy):
    files.set()
    path = files.pha([5, 6, 7, 8], RESPFILE="a.rmf", ANCRFILE="a.arf", BACKFILE="a.pha")
    given = None
    if copy:
        given = path.with_name("copy.pha")
        given.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="is its own background"):
        read_observation(path, background=given)


ERRORS = {"sqrt": np.sqrt([100, 144, 4]), "gehrels": 1 + np.sqrt(np.array([100, 144, 4]) + 0.75)}


@pytest.mark.parametrize("poisserr", [False, None, "F"])
@pytest.mark.parametrize("errors", ERRORS)
def test_whole_counts_with_poisson_errors_are_counts(files, poisserr, errors):
    keys = {} if poisserr is None else {"POISSERR": poisserr}
    path = files.pha([100, 144, 4], columns={"STAT_ERR": ERRORS[errors]}, **keys)
    assert read_spectrum(path).counts_C.tolist() == [100, 144, 4]
    rates = {"column": "RATE", "columns": {"STAT_ERR": ERRORS[errors] / 1000}, **keys}
    assert read_spectrum(files.pha([0.1, 0.144, 0.004], **rates)).counts_C.sum() == 248


@pytest.mark.parametrize(
    ("counts", "columns", "keys", "message"),
    [
        ([1.5, 2], {"STAT_ERR": [1.0, 1.0]}, {"POISSERR": False}, "fractional counts"),
        ([1.5, 2], {}, {"POISSERR": False}, "fractional counts"),
        ([1.5, 2], {}, {"POISSERR": "F"}, "fractional counts"),
        ([1.5, 2], {"STAT_ERR": [1.0, 1.0]}, {}, "fractional counts"),
        ([100, 400], {"STAT_ERR": [50.0, 90.0]}, {"POISSERR": False}, "times the error of Poisson"),
        ([100, 400], {"STAT_ERR": [1.0, 2.0]}, {}, "times the error of Poisson"),
    ],
)
def test_what_is_not_poisson_is_refused(files, counts, columns, keys, message):
    with pytest.raises(InputError, match=message):
        read_spectrum(files.pha(np.array(counts), columns=columns, **keys))


def test_poisserr_true_is_believed(files):
    path = files.pha([1.5, 2.0], columns={"STAT_ERR": [9.0, 9.0]}, POISSERR=True)
    assert read_spectrum(path).counts_C.tolist() == [1.5, 2]


def test_several_source_spectra_in_one_file_are_refused(files):
    path = files.pha_of(files.spectrum_hdu([1, 2]), files.spectrum_hdu([3, 4]))
    with pytest.raises(InputError, match="2 spectra of one kind; split it"):
        read_spectrum(path)
    net = files.spectrum_hdu([9, 9], HDUCLAS2="NET")
    assert read_spectrum(files.pha_of(net, files.spectrum_hdu([1, 2]))).counts_C.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([1.0, 3e38], {}, "counts 3e[+]38 in row 2"),
        ([1, 2], {"EXPOSURE": 1e300}, "EXPOSURE 1e[+]300 must be"),
        ([1, 2], {"BACKSCAL": 1e300}, "BACKSCAL 1e[+]300 must be"),
        ([1, 2], {"columns": {"AREASCAL": [1.0, 1e300]}}, "column AREASCAL must be"),
        ([1, 2], {"columns": {"QUALITY": [0.0, np.nan]}}, "column QUALITY must hold"),
        ([1, 2], {"columns": {"GROUPING": [1.0, 0.5]}}, "column GROUPING must hold"),
        ([1, 2], {"channel": [0, 2**31 - 1]}, "do not fit"),
        ([[1, 2], [3, 4]], {"channel": [0, 1]}, "COUNTS holds 2 numbers a row"),
    ],
)
def test_values_beyond_any_observation_are_refused(files, counts, options, message):
    if np.ndim(counts) == 2:
        columns = [
            fits.Column("CHANNEL", "J", array=[0, 1]),
            fits.Column("COUNTS", "2J", array=counts),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
        table.header["EXPOSURE"] = 1.0
        path = files.pha_of(table)
    else:
        path = files.pha(np.array(counts), **options)
    with pytest.raises(InputError, match=message):
        read_spectrum(path)


def test_a_background_that_would_outweigh_the_spectrum_is_refused(files):
    files.set()
    files.pha([1, 1, 1, 1], "b.pha", EXPOSURE=1e-3, BACKSCAL=1e-10)
    with pytest.raises(InputError, match=r"background counts expected for each .*BACKSCAL"):
        read_observation(files.folder / "a.pha")
