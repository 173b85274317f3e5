"""Reading of PHA files and observations, whole and broken."""

import gzip

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.spectral.observation import read_observation, read_spectrum


def test_counts_scales_flags_and_names(files):
    path = files.pha(
        [1, 2, 3],
        first=1,
        columns={"GROUPING": [1, -1, 1], "QUALITY": [0, 0, 5]},
        BACKSCAL=2.5,
        AREASCAL=0.5,
        TELESCOP="XMM",
        INSTRUME="EPN",
        FILTER="Medium",
        RESPFILE="r.rmf",
        ANCRFILE="none",
        BACKFILE=" ",
    )
    spectrum = read_spectrum(path)
    assert spectrum.counts_C.tolist() == [1, 2, 3]
    assert spectrum.counts_C.dtype == torch.float64
    assert (spectrum.exposure_s, spectrum.backscale, spectrum.areascale) == (1000, 2.5, 0.5)
    assert spectrum.first_channel == 1
    assert spectrum.grouping_C.tolist() == [1, -1, 1]
    assert spectrum.good_C.tolist() == [True, True, False]
    assert (spectrum.telescope, spectrum.instrument, spectrum.filter) == ("XMM", "EPN", "Medium")
    assert (spectrum.respfile, spectrum.ancrfile, spectrum.backfile) == ("r.rmf", "", "")
    assert spectrum.source == str(path)


def test_missing_words_have_defaults(files):
    spectrum = read_spectrum(files.pha([1, 2]))
    assert (spectrum.backscale, spectrum.areascale) == (1, 1)
    assert spectrum.grouping_C is None
    assert spectrum.quality_C is None
    assert spectrum.good_C.all()
    assert spectrum.backfile == ""


def test_rates_become_counts(files):
    counts = np.array([0, 1, 7, 12345])
    rate = (counts / 1000.0).astype(np.float32)
    spectrum = read_spectrum(files.pha(rate, column="RATE"))
    assert spectrum.counts_C.tolist() == counts.tolist()
    fractional = read_spectrum(files.pha([0.00025, 0.5], column="RATE"))
    assert fractional.counts_C.tolist() == [0.25, 500]


def test_scales_as_columns(files):
    spectrum = read_spectrum(
        files.pha([1, 2, 3], columns={"BACKSCAL": [2.0, 2.0, 2.0], "AREASCAL": [1.0, 0.5, 0.0]})
    )
    assert spectrum.backscale == 2
    assert spectrum.areascale.tolist() == [1, 0.5, 0]


def test_channels_that_are_not_listed_are_empty_and_bad(files):
    spectrum = read_spectrum(files.pha([4, 6], channel=[2, 4], DETCHANS=4))
    assert spectrum.first_channel == 1
    assert spectrum.counts_C.tolist() == [0, 4, 0, 6]
    assert spectrum.good_C.tolist() == [False, True, False, True]
    spectrum = read_spectrum(files.pha([4, 6], channel=[1, 2], DETCHANS=4, TLMIN1=0))
    assert spectrum.first_channel == 0
    assert spectrum.counts_C.tolist() == [0, 4, 6, 0]


def test_rows_in_any_order(files):
    assert read_spectrum(files.pha([1, 2, 3], channel=[3, 1, 2])).counts_C.tolist() == [2, 3, 1]


def test_quality_keyword_counts_for_all_channels(files):
    assert not read_spectrum(files.pha([1, 2], QUALITY=5)).good_C.any()


def test_gzip(files):
    path = files.pha([1, 2, 3])
    packed = path.with_name("a.pha.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_spectrum(packed).counts_C.tolist() == [1, 2, 3]


def test_source_and_background_in_one_file_are_told_apart_by_class(files):
    background = files.spectrum_hdu([9, 9], HDUCLAS2="BKG")
    source = files.spectrum_hdu([1, 2])
    for hdus in ([source, background], [background, source]):
        path = files.pha_of(*hdus)
        assert read_spectrum(path).counts_C.tolist() == [1, 2]
        assert read_spectrum(path, "background").counts_C.tolist() == [9, 9]


def test_a_background_file_marked_total_serves_as_background(files):
    assert read_spectrum(files.pha([3, 4]), "background").counts_C.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([1, 2], {"EXPOSURE": None}, "no EXPOSURE"),
        ([1, 2], {"EXPOSURE": 0.0}, "EXPOSURE 0.0 must be positive"),
        ([1, 2], {"EXPOSURE": "long"}, "EXPOSURE 'long' is not a number"),
        ([1, -2], {}, "counts -2 in row 2"),
        ([1.0, np.nan], {}, "counts nan in row 2"),
        ([np.inf, 1.0], {}, "counts inf in row 1"),
        ([1, 2], {"HDUCLAS2": "NET"}, "already subtracted"),
        ([1, 2], {"BACKSCAL": -1.0}, "BACKSCAL -1.0 must be positive"),
        ([1, 2], {"AREASCAL": "wide"}, "AREASCAL 'wide' is not a number"),
        ([1, 2], {"columns": {"BACKSCAL": [1.0, np.nan]}}, "BACKSCAL must be finite"),
        ([1, 2], {"channel": [1, 1]}, "or repeat"),
        ([1, 2], {"channel": [1, 9]}, "do not fit"),
        ([1, 2], {"DETCHANS": 10**12}, "DETCHANS 1000000000000 is too large"),
        ([], {}, "no channels"),
        ([1, 2], {"column": "FLUX"}, "is this a PHA file"),
        ([[1, 2], [3, 4]], {}, "type II"),
    ],
)
def test_bad_spectra_are_named_in_one_line(files, counts, options, message):
    if np.ndim(counts) == 2:
        columns = [
            fits.Column("SPEC_NUM", "J", array=[1, 2]),
            fits.Column("CHANNEL", "2J", array=[[1, 2], [1, 2]]),
            fits.Column("COUNTS", "2J", array=counts),
        ]
        path = files.pha_of(fits.BinTableHDU.from_columns(columns, name="SPECTRUM"))
    else:
        path = files.pha(counts, **options)
    with pytest.raises(InputError, match=message) as caught:
        read_spectrum(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_spectrum(files):
    path = files.pha(np.arange(3000))
    path.write_bytes(path.read_bytes()[:12000])
    with pytest.raises(InputError, match="truncated"):
        read_spectrum(path)


def test_damage_is_refused_or_harmless(files):
    """Bytes changed at random lead to a result or to an InputError of one line, nothing else."""
    pha = files.set()
    random = np.random.default_rng(0)
    refusals = []
    for name in ("a.pha", "a.rmf", "a.arf", "b.pha"):
        path = pha.with_name(name)
        whole = path.read_bytes()
        for _ in range(40):
            damaged = np.frombuffer(whole, np.uint8).copy()
            # The header of the table and its data; the first block is the primary header.
            places = random.integers(2880, min(len(whole), 11520), size=random.integers(1, 12))
            damaged[places] = random.integers(0, 256, len(places))
            path.write_bytes(damaged.tobytes())
            try:
                read_observation(pha)
            except InputError as error:
                refusals.append(str(error))
        path.write_bytes(whole)
    assert 20 < len(refusals) < 140
    assert not any("\n" in refusal for refusal in refusals)


def test_observation_follows_the_names_in_the_header(files):
    observation = read_observation(files.set())
    assert observation.name == "a.pha"
    assert observation.response.n_channels == 4
    assert observation.background.counts_C.tolist() == [1, 1, 1, 1]
    assert observation.background_scale == 1000 * 1 / (2000 * 4)
    # 1 photon cm^-2 s^-1 in the second bin, 20 cm^2, into channels 2 and 3.
    expected = observation.expected_counts(torch.tensor([0.0, 1.0, 0.0]))
    assert expected.tolist() == [0, 20000, 20000, 0]


def test_files_given_take_the_place_of_the_named_ones(files):
    pha = files.set()
    other = files.arf([1, 1, 1], [1, 2, 3, 4], name="other.arf")
    observation = read_observation(pha, arf=other, background="none")
    assert observation.background is None
    assert observation.background_scale == 0
    assert observation.response.matrix_EC.max() == 1


def test_names_lead_to_gzipped_files(files):
    pha = files.set()
    for name in ("a.rmf", "b.pha"):
        plain = pha.with_name(name)
        pha.with_name(name + ".gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    assert read_observation(pha).background is not None


@pytest.mark.parametrize("named", ["a.pha", "a.pha[SPECTRUM2]", "NONE"])
def test_background_in_the_same_file(files, named):
    files.set()
    path = files.pha_of(
        files.spectrum_hdu([1, 2, 3, 4], RESPFILE="a.rmf", ANCRFILE="a.arf", BACKFILE=named),
        files.spectrum_hdu([9, 9, 9, 9], HDUCLAS2="BKG"),
    )
    assert read_observation(path).background.counts_C.tolist() == [9, 9, 9, 9]
    assert read_observation(path, background="none").background is None


@pytest.mark.parametrize("named", ["none", "acisf00001_001N001_r0002_{}.fits"])
def test_files_of_the_chandra_source_catalog_are_found_by_their_names(files, named):
    files.set()
    stem = "acisf00001_001N00{}_r0002_{}.fits"
    for kind in ("rmf", "arf"):
        (files.folder / f"a.{kind}").rename(files.folder / stem.format(2, f"{kind}3"))
    keys = {"RESPFILE": "rmf3", "ANCRFILE": "arf3", "BACKFILE": "pha3"}
    path = files.pha_of(
        files.spectrum_hdu([1, 2, 3, 4], **{key: named.format(kind) for key, kind in keys.items()}),
        files.spectrum_hdu([9, 9, 9, 9], HDUCLAS2="BKG"),
        name=stem.format(3, "pha3"),
    )
    observation = read_observation(path)
    assert observation.background.counts_C.tolist() == [9, 9, 9, 9]
    assert observation.response.matrix_EC.max() == 30
    (files.folder / stem.format(2, "rmf3")).unlink()
    with pytest.raises(InputError, match="RESPFILE"):
        read_observation(path)


def test_scales_of_source_and_background_all_count(files):
    files.set()
    files.pha([1, 1, 1, 1], "b.pha", BACKSCAL=3.0, AREASCAL=32.0)
    path = files.pha([5, 6, 7, 8], BACKSCAL=2.0, AREASCAL=0.5, BACKFILE="b.pha")
    observation = read_observation(path, rmf=path.with_name("a.rmf"), arf=path.with_name("a.arf"))
    assert observation.background_scale == pytest.approx(2 * 0.5 / (3 * 32))
    assert observation.expected_counts(torch.tensor([1.0, 0, 0])).tolist() == [5000, 5000, 0, 0]


def test_scales_by_channel(files):
    files.set()
    files.pha([1, 1, 1, 1], "b.pha", columns={"BACKSCAL": [4.0, 4.0, 8.0, 0.0]})
    path = files.pha([5, 6, 7, 8], columns={"AREASCAL": [1.0, 0.5, 1.0, 1.0]}, BACKFILE="b.pha")
    observation = read_observation(path, rmf=path.with_name("a.rmf"), arf=path.with_name("a.arf"))
    assert observation.background_scale.tolist() == [0.25, 0.125, 0.125, 0]
    expected = observation.expected_counts(torch.tensor([1.0, 0, 0]))
    assert expected.tolist() == [10000, 5000, 0, 0]


def test_response_of_downward_channels_turns_the_spectrum_round(files):
    matrix = np.eye(3, 4) * 2 + np.eye(3, 4, 1)
    files.rmf(matrix, [1, 2, 3, 4], [1, 2, 3, 4, 5], descending=True, kind="FULL", first=1)
    path = files.pha(
        [8, 7, 6, 5],
        first=1,
        columns={"GROUPING": [1, 1, -1, 1], "QUALITY": [1, 0, 0, 0]},
        RESPFILE="a.rmf",
    )
    observation = read_observation(path)
    assert observation.spectrum.counts_C.tolist() == [5, 6, 7, 8]
    assert observation.spectrum.descending
    assert observation.spectrum.grouping_C.tolist() == [1, 1, -1, 1]
    assert observation.spectrum.quality_C.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(observation.response.matrix_EC, matrix)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ANCRFILE": "a.arf"}, r"names no RMF \(RESPFILE\); give --rmf FILE"),
        (
            {"RESPFILE": "gone.rmf"},
            r"its RMF gone.rmf \(RESPFILE\) is not beside it; give --rmf FILE",
        ),
        (
            {"RESPFILE": "a.rmf"},
            r"no ARF \(ANCRFILE\), and .*a.rmf: .*\(HDUCLAS3 REDIST\) holds no effective area",
        ),
        ({"RESPFILE": "a.rmf", "ANCRFILE": "gone"}, r"its ARF gone .* give --arf FILE"),
        (
            {"RESPFILE": "a.rmf", "ANCRFILE": "a.arf", "BACKFILE": "gone"},
            r"its background gone .* give --background FILE",
        ),
        (
            {"RESPFILE": "a.rmf", "ANCRFILE": "a.arf", "first": 1},
            r"4 channels from 1, .*a.rmf has 4 from 0; pass the RMF of this spectrum",
        ),
    ],
)
def test_files_that_are_missing_or_do_not_fit(files, options, message):
    files.set()
    path = files.pha([5, 6, 7, 8], **options)
    with pytest.raises(InputError, match=message) as caught:
        read_observation(path)
    assert str(path) in str(caught.value)


def test_rmf_of_other_channels(files):
    pha = files.set()
    other = files.rmf(np.eye(3), [1, 2, 3, 4], [1, 2, 3, 4], name="other.rmf")
    with pytest.raises(InputError, match=r"4 channels from 0, .*other.rmf has 3 from 0"):
        read_observation(pha, rmf=other)


def test_background_of_other_channels(files):
    pha = files.set()
    other = files.pha([1, 2, 3], "other.pha")
    with pytest.raises(InputError, match=r"other.pha: 3 channels from 0"):
        read_observation(pha, background=other)


def test_area_in_the_matrix_needs_no_arf(files):
    files.rmf(5 * np.eye(3), [1, 2, 3, 4], [1, 2, 3, 4], kind="FULL")
    observation = read_observation(files.pha([1, 2, 3], RESPFILE="a.rmf"))
    assert observation.response.matrix_EC.max() == 5


def test_arf_none_says_that_the_matrix_holds_the_area(files):
    files.rmf(5 * np.eye(3), [1, 2, 3, 4], [1, 2, 3, 4])
    path = files.pha([1, 2, 3], RESPFILE="a.rmf")
    assert read_observation(path, arf="none").response.matrix_EC.max() == 5
