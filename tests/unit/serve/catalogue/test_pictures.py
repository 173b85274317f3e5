"""Pictures of sources over HTTP: a list, PNG and FITS."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

FIRST = 10**12  # a source of two pictures; the next has none
SIDE = 248


def test_pictures_are_listed_with_their_sky_and_their_files(client):
    answer = client.get(f"/sources/{FIRST}/pictures")
    assert answer.headers["wolter-release"] == "R1"
    told = answer.json()
    assert (told["release"], told["simulated"], told["source_id"]) == ("R1", True, FIRST)
    assert [each["exposure_s"] for each in told["pictures"]] == [5e4, 2e4]
    long = told["pictures"][0]
    assert (long["number"], long["observation_id"], long["model_version"]) == (0, "1", "3")
    photons, sharper = long["layers"]
    assert (photons["unit"], photons["rows"], sharper["rows"]) == ("count", 31, 62)
    assert sharper["pixel_arcsec"] == pytest.approx(2)
    at = WCS(fits.Header(photons["wcs"])).world_to_pixel(
        SkyCoord(told["ra"], told["dec"], unit="deg")
    )
    assert np.abs(np.array(at) - 15).max() <= 0.5
    for each in (photons["png"], sharper["fits"]):
        assert client.get(each).status_code == 200


def test_a_source_without_pictures_has_an_empty_list(client):
    assert client.get(f"/sources/{FIRST + 1}/pictures").json()["pictures"] == []
    assert client.get(f"/sources/{FIRST}/pictures?release=R0").json()["pictures"]


@pytest.mark.parametrize(
    ("layer", "unit", "size"), [("photons", "count", 31), ("sharper", "ct/s", 62)]
)
def test_fits_tells_pixels_sky_and_where_they_are_from(client, layer, unit, size):
    answer = client.get(f"/sources/{FIRST}/pictures/0/{layer}?format=fits")
    assert answer.headers["content-type"] == "application/fits"
    assert f'filename="{FIRST}-0-{layer}.fits"' in answer.headers["content-disposition"]
    told = client.get(f"/sources/{FIRST}/pictures").json()
    with fits.open(io.BytesIO(answer.content), checksum=True) as (hdu,):
        values_HW, header = hdu.data, hdu.header
    assert values_HW.shape == (size, size)
    wanted = {
        "BUNIT": unit,
        "EXPOSURE": 5e4,
        "OBS_ID": "1",
        "INSTRUME": "EPN",
        "RELEASE": "R1",
        "SIMULATD": True,
        "DATE-BEG": "2009-06-18T06:00:00.000",
        "OBJECT": told["name"],
    }
    assert {key: header[key] for key in wanted} == wanted
    assert header.comments["CHECKSUM"] == "of this unit"  # no time: a picture is always one file
    assert ("ENHMODEL" in header) == (layer == "sharper")
    row, column = np.unravel_index(np.nanargmax(values_HW), values_HW.shape)
    peak = WCS(header).pixel_to_world(column, row)
    assert peak.separation(SkyCoord(told["ra"], told["dec"], unit="deg")).arcsec < 8
    assert np.isnan(values_HW[:, -1]).all()


def test_both_layers_are_on_one_scale_and_grey_where_nothing_was_exposed(client):
    drawn = {}
    for layer in ("photons", "sharper"):
        answer = client.get(f"/sources/{FIRST}/pictures/0/{layer}")
        assert answer.headers["content-type"] == "image/png"
        drawn[layer] = 255 * plt.imread(io.BytesIO(answer.content))[..., :3].astype(float)
        assert drawn[layer].shape == (SIDE, SIDE, 3)
        assert np.ptp(drawn[layer][5, -5]) == 0
    brightest = {layer: each.sum(-1).max() for layer, each in drawn.items()}
    # Per solid angle the sharper star is four times as bright, as it is made up.
    assert brightest["sharper"] > brightest["photons"] > 300


@pytest.mark.parametrize(
    ("accept", "query", "media"),
    [
        ("application/fits", "", "application/fits"),
        ("image/*", "", "image/png"),
        ("text/html", "", "image/png"),
        ("application/fits", "?format=png", "image/png"),
    ],
)
def test_the_client_chooses_the_form(client, accept, query, media):
    answer = client.get(f"/sources/{FIRST}/pictures/1/photons{query}", headers={"accept": accept})
    assert answer.headers["content-type"] == media


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("5/pictures", 404, "no source 5 in release R1"),
        ("5/pictures/0/photons", 404, "no source 5 in release R1"),
        (f"{FIRST}/pictures/2/photons", 404, "no picture 2"),
        (f"{FIRST}/pictures/0/no", 404, "a layer 'no'"),
        (f"{FIRST + 1}/pictures/0/photons", 404, "no picture 0"),
        (f"{FIRST}/pictures/0/photons?format=svg", 422, "format"),
        (f"{FIRST}/pictures/-1/photons", 422, "number"),
    ],
)
def test_what_is_not_there_is_said(client, path, status, message):
    answer = client.get(f"/sources/{path}")
    assert answer.status_code == status
    assert message in answer.text
