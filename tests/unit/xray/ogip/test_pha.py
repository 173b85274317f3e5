"""Backgrounds in the file of their spectrum, and which of several spectra is read."""

import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.ogip.pha import Spectrum, read_spectra, read_spectrum

UP, DOWN = [1, 2, 3], [10, 20, 40]


def grating(files, **options):
    columns = {"BACKGROUND_UP": UP, "BACKGROUND_DOWN": DOWN}
    keys = {"BACKSCAL": 2.0, "BACKSCUP": 3.0, "BACKSCDN": 5.0}
    return files.pha([5, 6, 7], columns=columns, **{**keys, **options})


def test_both_sides_of_a_grating_spectrum_are_one_background(files):
    source, background = read_spectra(grating(files))
    assert source.counts_C.tolist() == [5, 6, 7]
    assert source.backscale == 2
    assert background.counts_C.tolist() == [11, 22, 43]
    assert background.backscale == 8
    assert background.exposure_s == source.exposure_s
    assert read_spectrum(grating(files), "background").counts_C.tolist() == [11, 22, 43]
    assert read_spectrum(grating(files), "total").counts_C.tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("name", "key", "values", "scale"),
    [("BACKGROUND_UP", "BACKSCUP", UP, 3.0), ("BACKGROUND_DOWN", "BACKSCDN", DOWN, 5.0)],
)
def test_one_side_serves_alone(files, name, key, values, scale):
    path = files.pha([5, 6, 7], columns={name: values}, BACKSCAL=1.0, **{key: scale})
    _, background = read_spectra(path)
    assert background.counts_C.tolist() == values
    assert background.backscale == scale


@pytest.mark.parametrize("key", ["BACKSCUP", "BACKSCDN"])
def test_a_side_without_its_scale_is_refused(files, key):
    keys = {"BACKSCAL": 2.0, "BACKSCUP": 3.0, "BACKSCDN": 5.0}
    del keys[key]
    path = files.pha([5, 6, 7], columns={"BACKGROUND_UP": UP, "BACKGROUND_DOWN": DOWN}, **keys)
    with pytest.raises(InputError, match=f"without its scale; add the keyword {key}"):
        read_spectra(path)


def test_scales_of_sides_may_be_columns(files):
    columns = {"BACKGROUND_UP": UP, "BACKSCUP": [1.0, 2.0, 4.0]}
    _, background = read_spectra(files.pha([5, 6, 7], columns=columns))
    assert torch.as_tensor(background.backscale).tolist() == [1, 2, 4]


def test_a_spectrum_alone_has_no_background(files):
    assert read_spectra(files.pha([5, 6, 7]))[1] is None


def test_a_table_of_the_background_is_read_before_columns(files):
    columns = {"BACKGROUND_UP": UP}
    total = files.spectrum_hdu([5, 6, 7], columns=columns, BACKSCUP=1.0)
    path = files.pha_of(total, files.spectrum_hdu([9, 9, 9], HDUCLAS2="BKG"))
    assert read_spectra(path)[1].counts_C.tolist() == [9, 9, 9]


@pytest.mark.parametrize("kind", ["TOTAL", "BKG"])
def test_two_spectra_of_one_kind_are_refused(files, kind):
    one, two = (files.spectrum_hdu([n, n], HDUCLAS2=kind) for n in (1, 2))
    path = files.pha_of(one, two)
    with pytest.raises(InputError, match="2 spectra of one kind"):
        read_spectrum(path)


@pytest.mark.parametrize(
    ("classes", "read"), [(("NET", "TOTAL"), 2), (("TOTAL", "BKG"), 1), (("BKG", ""), 2)]
)
def test_the_total_is_read_whatever_stands_beside_it(files, classes, read):
    tables = [files.spectrum_hdu([n, n], HDUCLAS2=kind) for n, kind in enumerate(classes, 1)]
    path = files.pha_of(*tables)
    assert read_spectrum(path).counts_C.tolist() == [read, read]


def test_a_net_spectrum_alone_is_refused(files):
    with pytest.raises(InputError, match="already subtracted"):
        read_spectrum(files.pha([1, 2], HDUCLAS2="NET"))


def test_several_spectra_in_one_table_are_refused(files):
    path = files.pha([5, 6, 7], columns={"SPEC_NUM": [1, 2, 3]})
    with pytest.raises(InputError, match="PHA type II"):
        read_spectrum(path)
    columns = [
        fits.Column("CHANNEL", "2J", array=[[1, 2], [1, 2]]),
        fits.Column("COUNTS", "2J", array=[[5, 6], [7, 8]]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    with pytest.raises(InputError, match="PHA type II"):
        read_spectrum(files.pha_of(table))


def test_good_channels_are_those_of_quality_zero(files):
    spectrum = read_spectrum(files.pha([5, 6, 7], columns={"QUALITY": [0, 1, 5]}))
    assert spectrum.good_C.tolist() == [True, False, False]
    assert read_spectrum(files.pha([5, 6])).good_C.tolist() == [True, True]
    assert spectrum.n_channels == 3
    assert spectrum.descending is False


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ({"EXPOSURE": 1e10}, {"EXPOSURE": 1.001e10}, "EXPOSURE"),
        ({"EXPOSURE": 1e-9}, {"EXPOSURE": 0.0}, "EXPOSURE"),
        ({"BACKSCAL": 1e-15}, {"BACKSCAL": 0.99e-15}, "BACKSCAL"),
        ({"BACKSCAL": 1e15}, {"BACKSCAL": 1.01e15}, "BACKSCAL"),
        ({"AREASCAL": 0.3}, {"AREASCAL": 0.0}, "AREASCAL"),
        ({"QUALITY": 2**15 - 1}, {"QUALITY": 2**15}, "QUALITY"),
        ({"DETCHANS": 3}, {"DETCHANS": 2**20 + 1}, "DETCHANS"),
        ({"DETCHANS": 2**20}, {"DETCHANS": 3.5}, "DETCHANS"),
    ],
)
def test_keywords_at_their_limits(files, good, bad, message):
    read_spectrum(files.pha([5, 6, 7], **good))
    with pytest.raises(InputError, match=message):
        read_spectrum(files.pha([5, 6, 7], **bad))


def test_counts_at_their_limits(files):
    assert read_spectrum(files.pha([0.0, 1e12])).counts_C.tolist() == [0, 1e12]
    for bad in (1.001e12, -1e-9, float("nan")):
        with pytest.raises(InputError, match="in row 2; counts must be finite"):
            read_spectrum(files.pha([0.0, bad]))


@pytest.mark.parametrize(
    ("flags", "good"),
    [([0, 32767], True), ([0, 32768], False), ([0.0, 0.5], False), ([-32768, 0], False)],
)
def test_flags_at_their_limits(files, flags, good):
    values = [float(flag) for flag in flags]
    path = files.pha([1, 2], columns={"QUALITY": values})
    if good:
        assert read_spectrum(path).quality_C.tolist() == flags
    else:
        with pytest.raises(InputError, match="small whole numbers"):
            read_spectrum(path)


@pytest.mark.parametrize(
    ("factor", "good"), [(0.51, True), (1.0, True), (1.99, True), (0.49, False), (2.01, False)]
)
@pytest.mark.parametrize("poisserr", [None, False])
def test_errors_are_poissons_to_a_factor_of_two(files, factor, good, poisserr):
    errors = [factor * 10.0, factor * 20.0, 99.0]  # of 3 counts nothing is asked
    keys = {} if poisserr is None else {"POISSERR": poisserr}
    path = files.pha([100, 400, 3], columns={"STAT_ERR": errors}, **keys)
    if good:
        assert read_spectrum(path).counts_C.tolist() == [100, 400, 3]
    else:
        with pytest.raises(InputError, match="STAT_ERR is"):
            read_spectrum(path)
    if not good:
        read_spectrum(files.pha([100, 400, 3], columns={"STAT_ERR": errors}, POISSERR=True))


def test_fractional_counts_are_refused_only_where_their_errors_are_not_poissons(files):
    assert read_spectrum(files.pha([1.5, 2.0])).counts_C.tolist() == [1.5, 2]
    assert read_spectrum(files.pha([1.5, 2.0], POISSERR=True)).counts_C.tolist() == [1.5, 2]
    for fractional in (1.4, 1.6):
        with pytest.raises(InputError, match="fractional counts"):
            read_spectrum(files.pha([fractional, 2.0], POISSERR=False))
    with pytest.raises(InputError, match="fractional counts"):
        read_spectrum(files.pha([1.5, 2.0], columns={"STAT_ERR": [1.0, 1.0]}))


def test_scales_in_columns_at_their_limits(files):
    for good in ([0.0, 1e-15], [1e15, 2.0]):
        found = read_spectrum(files.pha([1, 2], columns={"BACKSCAL": good})).backscale
        assert found.tolist() == good
    for bad in ([1.0, 0.99e-15], [1.01e15, 2.0], [-1.0, 2.0], [0.0, 0.0]):
        with pytest.raises(InputError, match="column BACKSCAL"):
            read_spectrum(files.pha([1, 2], columns={"BACKSCAL": bad}))


def test_channels_without_a_row_have_no_area(files):
    path = files.pha([1, 2], columns={"AREASCAL": [0.5, 0.25]}, DETCHANS=4)
    assert sorted(read_spectrum(path).areascale.tolist()) == [0, 0, 0.25, 0.5]


def test_a_spectrum_made_in_memory_has_the_scales_and_the_numbering_of_the_standard():
    plain = Spectrum(torch.ones(3), 10.0)
    assert (plain.backscale, plain.areascale, plain.first_channel) == (1, 1, 0)


def test_rates_hide_whole_counts_to_a_thousandth(files):
    rates = [3 / 1000.0 + 0.9e-6, 7 / 1000.0]  # 3.0009 and 7 counts in 1,000 s
    assert read_spectrum(files.pha(rates, column="RATE")).counts_C.tolist() == [3, 7]
    rates[0] = 3 / 1000.0 + 1.1e-6
    found = read_spectrum(files.pha(rates, column="RATE")).counts_C.tolist()
    assert found == pytest.approx([3.0011, 7])
