from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from tests import event_lists

from wolter.errors import InputError
from wolter.images.headers import FileKind, Maps, classify
from wolter.images.ingest import ImageIngestConfig
from wolter.images.pair_tiles import Tiling, no_pair, pair_table
from wolter.images.pairs import Cutting, pair_of_images, pairs_of_events
from wolter.xray.imaging.binning import grid_of, picture_of
from wolter.xray.imaging.events import Events, read_events
from wolter.xray.imaging.tangent_plane import TangentPlane
from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.pointing import celestial

WORDS = {"source_id": "0123456789", "parent": "NOTHING"}


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "pn.fits"
    event_lists.epic_pn(path, 20_000)
    return read_events(path)


def write_image(events: Events, path: Path, **words: object) -> Path:
    """An image of a list with its good times, as the pipeline writes them."""
    picture = picture_of(events, grid_of(events))
    image = fits.PrimaryHDU(picture.counts_HW.numpy().astype(np.int32), picture.header)
    for key, value in words.items():
        if value is None:
            del image.header[key]
        else:
            image.header[key] = value
    gtis = []
    for ccd, times_M2 in events.times.items():
        inside_M2 = times_M2.clip(*events.window)
        columns = {"START": inside_M2[:, 0], "STOP": inside_M2[:, 1]}
        gti = fits.table_to_hdu(Table(columns))
        gti.name, gti.header["CCDID"] = f"GTI{ccd:03d}04", ccd
        gtis.append(gti)
    fits.HDUList([image, *gtis]).writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("coordinates", ["detector", "sky"])
def test_input_and_target_are_disjoint_and_together_all(events, scale, coordinates):
    cutting = Cutting(9000.0, most=5, scale=scale, coordinates=coordinates)
    pairs = pairs_of_events(events, cutting)
    assert len(pairs) == 3
    whole_HW = picture_of(events, grid_of(events, coordinates)).counts_HW
    for pair in pairs:
        target_HW = torch.nn.functional.avg_pool2d(pair.target.counts_HW[None], scale)[0] * scale**2
        off = float((pair.input.counts_HW + target_HW - whole_HW).abs().sum())
        # Edges of the sky's exposure map, which each list's own photons turn, may differ.
        assert off <= (0 if coordinates == "detector" else 0.05) * len(events)
        assert pair.input.exposure_s == pytest.approx(9000)
        assert pair.target.exposure_s == pytest.approx(18_000)
    inputs_HW = torch.stack([pair.input.counts_HW for pair in pairs]).sum(0)
    assert float((inputs_HW - whole_HW).abs().sum()) <= 0.05 * len(events)


def test_a_target_of_given_exposure_follows_its_input(events):
    (pair,) = pairs_of_events(events, Cutting(9000.0, 13_000.0, most=5))
    assert pair.input.exposure_s == pytest.approx(9000)
    assert pair.target.exposure_s == pytest.approx(13_000)
    first, rest = events.slices(9000.0)[0], events.slices(22_000.0)[0]
    assert float(pair.input.counts_HW.sum()) == len(first)
    assert float(pair.target.counts_HW.sum()) == len(rest) - len(first)


def test_a_short_observation_makes_no_pair(events):
    with pytest.raises(InputError, match="27000 s of good exposure in all, 30000 s wanted"):
        pairs_of_events(events, Cutting(30_000.0))


def test_a_long_image_that_holds_the_short_one_gives_up_its_photons(events, tmp_path):
    short = write_image(events.slices(9000.0)[1], tmp_path / "short.fits")
    long = write_image(events, tmp_path / "long.fits")
    one, other = Maps().read(short, 4.0), Maps().read(long, 4.0)
    pair = pair_of_images(one, other)
    assert torch.equal(pair.input.counts_HW + pair.target.counts_HW, other.counts_HW)
    assert pair.target.exposure_s == pytest.approx(18_000)
    live_HW = pair.target.exposure_HW > 0
    total_HW = pair.input.exposure_HW + pair.target.exposure_HW
    assert torch.allclose(total_HW[live_HW], other.exposure_HW[live_HW])


def test_images_of_other_times_are_a_pair_as_they_are(events, tmp_path):
    first, second, third = events.slices(9000.0)
    short = write_image(first, tmp_path / "short.fits")
    long = write_image(events.between(second.window[0], third.window[1]), tmp_path / "long.fits")
    one, other = Maps().read(short, 4.0), Maps().read(long, 4.0)
    pair = pair_of_images(one, other)
    assert torch.equal(pair.target.counts_HW, other.counts_HW)
    assert other.exposure_s == pytest.approx(18_000)


def test_what_is_not_clear_is_no_pair(events, tmp_path):
    part = events.slices(9000.0)[0]
    short = write_image(part, tmp_path / "short.fits")
    shifted = events.between(part.window[0] + 4000, np.inf)
    long = write_image(shifted, tmp_path / "long.fits")
    one, other = Maps().read(short, 4.0), Maps().read(long, 4.0)
    with pytest.raises(InputError, match="of its time is in"):
        pair_of_images(one, other)
    fewer = replace(other, counts_HW=other.counts_HW * 0 + 1, file=str(short))
    with pytest.raises(InputError, match="pixels hold more photons"):
        pair_of_images(one, fewer)
    with pytest.raises(InputError, match="nothing is left for a target"):
        pair_of_images(one, one)
    header = other.header.copy()
    header["CRVAL1"] = 0.0
    with pytest.raises(InputError, match="pixels away from those of"):
        pair_of_images(one, replace(other, header=header))
    with pytest.raises(InputError, match="its pixels are not those of"):
        pair_of_images(one, replace(other, counts_HW=torch.ones(4, 4)))


def test_event_lists_of_one_name_that_name_nothing_are_sources_of_their_own(tmp_path):
    files = [tmp_path / folder / "events.fits" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        event_lists.epic_pn(file, 100, OBS_ID=None, OBJECT=None)
    seen = [classify(file, Maps(), 4.0, archive=tmp_path) for file in files]
    assert [each.kind for each in seen] == [FileKind.EVENTS] * 2
    assert [(each.source, each.parent) for each in seen] == [
        (name, name) for name in ("a/events.fits", "b/events.fits")
    ]


def test_files_say_what_they_are(events, tmp_path, pha):
    image = write_image(events, tmp_path / "image.fits")
    seen = classify(image, Maps(), 4.0)
    assert (seen.kind, seen.source, seen.parent) == (FileKind.IMAGE, "0123456789", "NOTHING")
    assert seen.reason == ""
    lives = {f"LIVETI{ccd:02d}": None for ccd in range(1, 13)}
    assert classify(Path(events.file), Maps(), 4.0).kind is FileKind.EVENTS
    assert classify(pha, Maps(), 4.0) == classify(Path(__file__), Maps(), 4.0)
    assert (
        "no EXPOSURE"
        in classify(
            write_image(events, tmp_path / "no.fits", EXPOSURE=None, **lives), Maps(), 4.0
        ).reason
    )
    nameless = write_image(events, tmp_path / "nameless.fits", OBS_ID=None)
    assert "no OBS_ID" in classify(nameless, Maps(), 4.0).reason
    assert "use --pixel" in classify(image, Maps(), 2.0).reason
    (tmp_path / "empty.fits").write_bytes(b"")
    assert "empty file" in classify(tmp_path / "empty.fits", Maps(), 4.0).reason


def test_maps_are_found_by_observation(events, tmp_path):
    image = write_image(events, tmp_path / "image.fits")
    folder = tmp_path / "maps"
    folder.mkdir()
    spread_HW = np.full(camera.NATIVE, 500.0, np.float32)
    spread_HW[:50] = 0
    fits.writeto(folder / "a.fits", spread_HW, fits.Header({"OBS_ID": "0123456789"}))
    maps = Maps.of(str(folder), None)
    assert maps.files == {str(folder / "a.fits")}
    picture = maps.read(image, 4.0)
    assert picture.exposure_s == pytest.approx(27_000)
    assert float(picture.exposure_HW[100, 100]) == pytest.approx(27_000)
    assert not picture.counts_HW[:50].any()
    header = fits.getheader(image)
    spread, mask = maps.spread("another", image, header, camera.NATIVE)
    assert spread is mask is None
    with pytest.raises(InputError, match="no such file or folder"):
        Maps.of(str(tmp_path / "nowhere"), None)


def test_tiles_hold_the_pair_and_rejects_have_the_same_columns(events):
    (pair,) = pairs_of_events(events, Cutting(9000.0, scale=2))
    tiling = Tiling(128, 32, 2)
    table = pair_table(pair, 0, tiling, WORDS)
    reject = no_pair("x.fits", "why", tiling, WORDS)
    assert table.schema.equals(reject.schema)
    assert pa.concat_tables([table, reject]).num_rows == table.num_rows + 1
    assert set(table["source_id"].to_pylist()) == {"0123456789"}
    row, column = table["row"][5].as_py(), table["column"][5].as_py()
    tile = table["counts"].combine_chunks().to_numpy_ndarray()[5]
    expected = pair.input.counts_HW[row : row + 128, column : column + 128].numpy()
    assert np.array_equal(tile, expected)
    target = table["target"].combine_chunks().to_numpy_ndarray()[5]
    rows = slice(2 * row, 2 * row + 256)
    expected = pair.target.counts_HW[rows, 2 * column : 2 * column + 256].numpy()
    assert np.array_equal(target, expected)


@pytest.fixture(scope="module")
def pointed(tmp_path_factory):
    """A short list whose header tells the attitude and the clock."""
    path = tmp_path_factory.mktemp("pointed") / "pn.fits"
    ra, dec = event_lists.POINTING
    angle = 90 - np.degrees(event_lists.TURN)  # of DETX, from north by the east
    clock = {"MJDREF": 50_814.0, "TIMESYS": "TT"}
    event_lists.epic_pn(path, 4_000, RA_PNT=ra, DEC_PNT=dec, PA_PNT=angle, **clock)
    return read_events(path)


@pytest.mark.parametrize("coordinates", ["detector", "sky"])
def test_tiles_know_where_and_when_they_were_seen(pointed, coordinates):
    (pair,) = pairs_of_events(pointed, Cutting(9000.0, coordinates=coordinates))
    rows = pair_table(pair, 0, Tiling(), WORDS).drop_columns(["counts", "target"]).to_pylist()
    whole = celestial(pair.input.header)
    for row in rows:
        place = whole.pixel_to_world(row["column"] + 100.0, row["row"] + 30.0).icrs
        at = TangentPlane.from_numbers(row).pixels(place.ra.deg, place.dec.deg)
        assert np.ravel(at) == pytest.approx([30, 100], abs=1e-3)
        assert row["observation_id"] == "0123456789"
        leap_s = 31 + 32.184  # TT less UTC in 1998
        assert (row["t_start"] - 50_814) * 86_400 == pytest.approx(1000 - leap_s, abs=1e-3)
        assert row["t_stop"] - row["t_start"] == pytest.approx(10_000 / 86_400)


def test_tiles_without_attitude_lie_nowhere(events):
    (pair,) = pairs_of_events(events, Cutting(9000.0))
    table = pair_table(pair, 0, Tiling(), WORDS)
    assert np.isnan(table["crval1"].to_numpy()).all()
    assert np.isnan(table["t_start"].to_numpy()).all()


def test_too_bright_a_pixel_is_rejected(events):
    (pair,) = pairs_of_events(events, Cutting(9000.0))
    bright = replace(pair.input, counts_HW=pair.input.counts_HW * 1e5)
    with pytest.raises(InputError, match="photons in a pixel; use smaller pixels"):
        pair_table(replace(pair, input=bright), 0, Tiling(), WORDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exposure_s": 0.0}, "exposure_s = 0.0"),
        ({"target_exposure_s": -1.0}, "target_exposure_s = -1.0"),
        ({"pixel_arcsec": float("nan")}, "pixel_arcsec = nan"),
        ({"band_kev": (2.0, 0.5)}, "band_kev"),
        ({"scale": 3}, "scale = 3"),
        ({"most": 0}, "most = 0"),
        ({"tile": 0}, "tile = 0"),
        ({"overlap": 128}, "overlap = 128"),
    ],
)
def test_bad_configs(change, message):
    with pytest.raises(InputError, match=message):
        ImageIngestConfig(**change)
