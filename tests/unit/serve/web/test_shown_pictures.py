"""Pictures on the page of a source: marks that lie where the sky says."""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.pictured import PIXEL, TURN
from tests.releases import random_release

from wolter.catalogue import release as releases
from wolter.catalogue.pictures.file import Picture
from wolter.catalogue.store import Store
from wolter.serve.picture_png import shown_as, way_up
from wolter.serve.web.routes import add_routes
from wolter.serve.web.shown_pictures import CORNER
from wolter.xray.imaging.tangent_plane import TangentPlane

FIRST, SIDE = 10**12, 248
STEP_DEG = 4 / 3600
STEP = SIDE / 31  # of the page for a pixel of 4 arcsec


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = tmp_path_factory.mktemp("releases")
    random_release(root, n=20)
    releases.make_current("R1", root)
    app = FastAPI()
    add_routes(app, Store(root))
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def drawn(client):
    """The layers' SVG of the first picture."""
    page = client.get(f"/source/{FIRST}").text
    assert page.count('<figure class="picture">') == 2
    return [ElementTree.fromstring(each) for each in re.findall(r"<svg .*?</svg>", page, re.S)][1:3]


def test_marks_are_on_the_star_with_scale_and_orientation(drawn):
    for svg in drawn:
        (shown,) = svg.findall("{*}image")
        data = base64.b64decode(shown.get("href").partition("base64,")[2])
        colours = 255 * plt.imread(io.BytesIO(data))[..., :3].astype(float)
        assert colours.shape == (SIDE, SIDE, 3)
        circle = svg.findall(".//{*}circle")[0]
        x, y, radius = (float(circle.get(key)) for key in ("cx", "cy", "r"))
        assert radius == pytest.approx(10 / PIXEL * STEP, rel=0.01)
        bright = colours.sum(-1) > 0.9 * colours.sum(-1).max()
        row, column = (each.mean() for each in bright.nonzero())
        assert abs(row - y) < STEP
        assert abs(column - x) < STEP
        letters = {each.text: each for each in svg.iter() if each.text in ("N", "E")}
        way = {
            name: np.array([float(each.get("x")) - (SIDE - CORNER), float(each.get("y")) - CORNER])
            / 30
            for name, each in letters.items()
        }
        turn = np.radians(TURN)
        assert way["N"] == pytest.approx([np.sin(turn), -np.cos(turn)], abs=0.01)
        assert way["E"] == pytest.approx([-np.cos(turn), -np.sin(turn)], abs=0.01)
        assert "around WLT J000000, 2.1 arcmin wide; north is 30° to the right of up" in svg.get(
            "aria-label"
        )


@pytest.mark.parametrize("mirrored", [1, -1])
@pytest.mark.parametrize("turn", range(0, 360, 45))
def test_north_is_nearly_up_and_east_to_the_left(turn, mirrored):
    """A layer whose one bright pixel is where a plane turned by so much has the north-east."""
    angle = np.radians(turn + 5)
    east, north = (
        (-np.cos(angle) * mirrored, np.sin(angle)),
        (np.sin(angle) * mirrored, np.cos(angle)),
    )
    plane = TangentPlane((10.0, 20.0), (16.0, 16.0), tuple(STEP_DEG * v for v in (*east, *north)))
    place = SkyCoord(10, 20, unit="deg").spherical_offsets_by(40 * u.arcsec, 40 * u.arcsec)
    row, column = plane.pixels(np.array([place.ra.deg]), np.array([place.dec.deg]))
    values_HW = np.zeros((31, 31))
    values_HW[round(row[0]), round(column[0])] = 1
    held_22 = way_up(Picture(0, {}, plane, ()))
    down, right = (each[0] - 15 for each in shown_as(values_HW, held_22).nonzero())
    angle = np.degrees(np.arctan2(-right, -down))  # from up, to the left
    assert abs(angle - 45) < 45 + 5


def test_words_tell_the_observation_and_who_made_it(client):
    page = client.get(f"/source/{FIRST}").text
    assert "XMM/EPN/Thin1, observation 1, 2009-06-18, 50 ks." in page
    assert "Rate of the sources by sharpener 3." in page
    here = f"/v1/catalogue/sources/{FIRST}/pictures"
    assert f'href="{here}/0/sharper?format=fits&amp;release=R1"' in page
    assert "Pictures" not in client.get(f"/source/{FIRST + 1}").text
