"""The page of the catalogue in a real browser: it works without scripts, and asks nobody else."""

import shutil
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from tests.releases import random_release
from tests.served_app import served

from wolter.catalogue import release as releases
from wolter.catalogue.store import Store
from wolter.serve.web.routes import add_routes

pytestmark = [pytest.mark.browser, pytest.mark.peers]

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = tmp_path_factory.mktemp("releases")
    random_release(root, n=3_000)
    releases.make_current("R1", root)
    app = FastAPI()
    add_routes(app, Store(root))
    with served(app) as url:
        yield url


@pytest.fixture(scope="module")
def context():
    from playwright.sync_api import sync_playwright  # of the peers

    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: `make peers` installs it"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser.new_context()
        browser.close()


@pytest.fixture
def page(context):
    """A page that keeps the addresses that were asked, and what the browser complains of."""
    page = context.new_page()
    page.addresses, page.complaints = [], []
    page.on("request", lambda request: page.addresses.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("requestfailed", lambda request: page.complaints.append(request.url))
    yield page
    page.close()


def asked_only(page, url):
    assert {urlsplit(address).netloc for address in page.addresses} <= {urlsplit(url).netloc, ""}
    assert page.complaints == []


def test_a_person_finds_a_source_by_its_position(page, url):
    page.goto(url)
    assert page.locator("img").evaluate("each => each.naturalWidth") == 900
    page.get_by_role("searchbox").fill("10 10")
    page.get_by_label("Radius").fill("900")
    page.get_by_role("button", name="Search").click()
    first = page.locator("tbody a").first
    found = first.inner_text()
    first.click()
    assert page.url == f"{url}/source/{found}"
    assert page.get_by_role("heading", level=1).inner_text().startswith("WLT J")
    assert page.get_by_text("Simulated sources.").is_visible()
    asked_only(page, url)
    assert f"{url}/static/style.css" in page.addresses


def test_a_person_finds_a_source_by_its_name(page, url):
    page.goto(url)
    page.get_by_role("searchbox").fill("wlt j000007")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/source/{10**12 + 7}")
    asked_only(page, url)


def test_a_narrow_window_shows_everything(page, url):
    page.set_viewport_size({"width": 360, "height": 700})
    for path in ("/", "/tables", f"/source/{10**12 + 7}"):
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    asked_only(page, url)
