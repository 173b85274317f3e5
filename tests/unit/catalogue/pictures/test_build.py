"""Pictures of sources in a release: from tiles of the sky to what readers see."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from tests import skies
from tests.ingested import spectra

from wolter.catalogue import release as releases
from wolter.catalogue.build import BuildConfig, build
from wolter.catalogue.pictures import file
from wolter.catalogue.store import Store
from wolter.catalogue.write import differing
from wolter.errors import InputError

STAR, OTHER = (0.002, 89.97), (200.0, 10.0)  # the first at the pole and beside right ascension 0


@pytest.fixture
def models(untrained, enhancer):
    return f"posterior@{untrained('posterior')}", f"superres@{enhancer(2)}"


@pytest.fixture
def listed(pha, tmp_path):
    """Builds releases of two spectra, one at each star, with pictures from datasets."""
    twin = tmp_path / "twin.pha"
    twin.write_bytes(pha.read_bytes())
    data = spectra(tmp_path / "spectra", [pha, twin])
    positions = tmp_path / "positions.csv"
    rows = [
        f"{name},{ra},{dec}\n" for name, (ra, dec) in (("source.pha", STAR), ("twin.pha", OTHER))
    ]
    positions.write_text("file,ra,dec\n" + "".join(rows))

    def made(name, datasets, models, **how):
        config = BuildConfig(name, models=models, positions=positions, check=False, **how)
        return build([data, *datasets], config, tmp_path / "releases", tmp_path / "scored")

    return made


def sky(folder, *exposures, at=STAR, angle=33.0, **how):
    pictures = [
        skies.picture(
            skies.header(at[0], at[1] - 0.01, angle, 80, OBS_ID=str(i)), [at], 80, exposure_s
        )
        for i, exposure_s in enumerate(exposures)
    ]
    return skies.dataset(folder, pictures, **how)


def pictures_at(path, place):
    """Pictures of the source nearest to a place."""
    with Store(path.parent).open(path.name) as snapshot:
        sources = snapshot.query("SELECT source_id, dec FROM source").to_pylist()
        nearest = min(sources, key=lambda row: abs(row["dec"] - place[1]))
        source_id = nearest["source_id"]
        return file.read(snapshot, file.listed(snapshot, [source_id]).get(source_id, []))


def centre(values_HW, header):
    """Place of the star: the middle of what exceeds a tenth of the peak."""
    bright_HW = np.nan_to_num(values_HW)
    bright_HW = np.where(bright_HW > 0.1 * bright_HW.max(), bright_HW, 0)
    row_HW, column_HW = np.indices(bright_HW.shape)
    weights = bright_HW / bright_HW.sum()
    return WCS(header).pixel_to_world((weights * column_HW).sum(), (weights * row_HW).sum())


def test_a_star_lies_where_it_is_in_every_layer(tmp_path, listed, untrained):
    """At the pole, beside right ascension 0, turned; by the weights that ship with the package."""
    from astropy.coordinates import SkyCoord

    models = f"posterior@{untrained('posterior')}", "superres@pretrained"
    built = listed("R1", [sky(tmp_path / "a", 2e4)], models)
    assert (built.pictured, built.pictures) == (1, 1)
    (picture,) = pictures_at(built.path, STAR)
    truth = SkyCoord(*STAR, unit="deg")
    layers = [layer for layer, _ in picture.layers]
    assert [(layer.unit, layer.scale) for layer in layers] == [("count", 1), ("ct/s", 2)]
    for layer in layers:
        values_HW = picture.values(layer)
        assert values_HW.shape == (31 * layer.scale, 31 * layer.scale)
        header = fits.Header(picture.plane_of(layer).cards)
        off = centre(values_HW, header).separation(truth).arcsec
        assert off < 0.1 * skies.PIXEL, layer
    photons_HW = picture.values(layers[0])
    assert np.nansum(photons_HW) == pytest.approx(skies.STAR, rel=0.02)
    rate_HW = picture.values(layers[1])
    assert np.nansum(rate_HW) * 2e4 == pytest.approx(skies.STAR, rel=0.1)


def test_facts_are_those_of_the_observation(tmp_path, listed, models):
    built = listed("R1", [sky(tmp_path / "a", 2e4, 6e4)], models)
    long, short = pictures_at(built.path, STAR)
    assert [long.number, short.number] == [0, 1]
    assert [each.facts["exposure_s"] for each in (long, short)] == [6e4, 2e4]
    assert long.facts["observation_id"] == "1"
    assert long.facts["instrument"] == "XMM/EPN/Thin1"
    assert long.facts["t_start"] == skies.MJD
    assert long.facts["t_stop"] == pytest.approx(skies.MJD + 6e4 / 86_400)
    assert (long.facts["model_name"], long.facts["release"]) == ("superres", "R1")
    assert long.facts["model_version"]
    assert 0 < long.facts["offset"] < 3
    assert pictures_at(built.path, OTHER) == []
    rows = pq.read_table(built.path / file.FILE, columns=["release", "observation_id"]).to_pylist()
    assert {row["release"] for row in rows} == {"R1"}
    assert built.about.rows["picture"] == 2
    assert differing(built.path) == []


def test_a_source_at_the_edge_is_shown_on_what_was_not_exposed(tmp_path, listed, models):
    header = skies.header(STAR[0], STAR[1] - 150 / 3600, 0, 80)
    data = skies.dataset(tmp_path / "a", [skies.picture(header, [STAR], 80)])
    (picture,) = pictures_at(listed("R1", [data], models).path, STAR)
    for layer, _ in picture.layers:
        seen_HW = np.isfinite(picture.values(layer))
        top = seen_HW.any(1).nonzero()[0].max() // layer.scale
        assert 16 <= top < 30  # the star is at 15; what lies above the image is not a number
        assert not seen_HW[(top + 1) * layer.scale :].any()
        assert seen_HW[: top * layer.scale, : 20 * layer.scale].all()


def test_only_what_is_new_is_pictured(tmp_path, listed, models, enhancer):
    first, second = sky(tmp_path / "a", 2e4), sky(tmp_path / "b", 3e4)
    assert listed("R1", [first], models).new_pictures == 4
    again = listed("R2", [first], models)
    assert (again.new, again.new_pictures, again.pictures) == (0, 0, 1)
    assert listed("R3", [first, second], models).new_pictures == 4
    other = models[0], f"superres-denoise@{enhancer(1)}"
    new = listed("R4", [first], other)
    assert new.new_pictures == 4
    (picture,) = pictures_at(new.path, STAR)
    assert [layer.scale for layer, _ in picture.layers] == [1, 1]


def test_tiles_that_lie_nowhere_are_rejected_with_the_reason(tmp_path, listed, models):
    bare = skies.header(0, 0, 0, 40, CTYPE1=None, CTYPE2=None)
    lost = skies.dataset(tmp_path / "a", [skies.picture(bare, [], 40)], tile=40)
    old = sky(tmp_path / "b", 2e4, old=True)
    none = skies.dataset(tmp_path / "c", [], tile=40)
    built = listed("R1", [lost, old, none, none], models)
    assert (built.pictured, built.pictures, built.new_pictures) == (0, 0, 0)
    reasons = [reason for _, reason in built.rejects]
    assert sum("no sky coordinates in its header" in reason for reason in reasons) == 1
    assert sum("ingested by an older wolter" in reason for reason in reasons) == 4
    assert built.about.rejects == 5
    assert built.rejects[0][0] == "sky.fits: pair 0, tile at 0, 0"
    assert not (built.path / file.FILE).exists()
    assert pictures_at(built.path, STAR) == []


@pytest.mark.parametrize("how", [{"quick_looks": False}, {"pictures": False}])
def test_pictures_are_left_out_where_nobody_wants_them(tmp_path, listed, models, how):
    data = sky(tmp_path / "a", 2e4)
    built = listed("R1", [data], models, **how)
    assert (built.pictures, built.new_pictures) == (0, 0)
    assert ("any model", str(data), "pictures are left out") in built.unread


def test_pictures_alone_are_no_catalogue(tmp_path, models):
    config = BuildConfig("R1", models=models)
    with pytest.raises(InputError, match=r"pictures alone.*a dataset of spectra with positions"):
        build([sky(tmp_path / "a", 2e4)], config, tmp_path / "releases", tmp_path / "scored")


def test_a_model_of_other_pixels_is_told(tmp_path, listed, models, monkeypatch):
    monkeypatch.setattr(skies, "PIXEL", 2.0)
    with pytest.raises(InputError, match="superres reads pixels of 4 arcsec, these are 2"):
        listed("R1", [sky(tmp_path / "a", 2e4)], models)


def test_releases_without_pictures_have_none(tmp_path, listed, models):
    built = listed("R1", [], models[:1])
    assert "picture" not in {table.name for table in built.about.tables}
    assert pictures_at(built.path, STAR) == []
    assert releases.load(built.path).rows.get("picture") is None
