"""What every instrument must do; a new file in xray/instruments/ is tested with no change here.

Shapes: B batch, C channel, E photon energy.
"""

import math
from dataclasses import replace

import pytest
import torch
from astropy.io import fits

from wolter import plugins
from wolter.errors import InputError
from wolter.spectra.grid import default_grid
from wolter.spectra.ingest import IngestConfig
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.emission.components import parse
from wolter.xray.instruments import instrument as instruments
from wolter.xray.instruments.event_rules import good_events
from wolter.xray.instruments.instrument import Instrument
from wolter.xray.instruments.pointing import celestial
from wolter.xray.spectral.fakeit import fakeit
from wolter.xray.spectral.observation import read_observation, write_spectrum
from wolter.xray.spectral.response import channel_bins
from wolter.xray.spectral.writing import write_response

SOURCE = {"nh": 0.1, "slope": 1.9, "pow_norm": 1e-3}


@pytest.fixture(scope="module", params=instruments.names())
def instrument(request):
    return instruments.load(request.param)


@pytest.fixture(scope="module")
def response(instrument):
    return instrument.response()


def test_it_is_found_by_its_name_and_by_its_files(instrument):
    assert instruments.load(instrument.name) is instrument
    for detector in instrument.detectors:
        assert instrument in instruments.find(instrument.telescope, detector)
    header = fits.Header(
        {"TELESCOP": instrument.telescope, "INSTRUME": f"{instrument.detectors[0]} "}
    )
    assert instruments.of_header(header) is instrument
    assert instruments.of_header(fits.Header({"INSTRUME": header["INSTRUME"]})) is instrument
    assert instrument not in instruments.find("ROSAT", instrument.detectors[0])


def test_its_response_is_one(instrument, response):
    assert response.telescope == instrument.telescope
    assert response.instrument == instrument.detectors[0]
    for edges in (response.energy_edges_E1, response.channel_edges_C1):
        assert bool((edges.diff() > 0).all())
        assert bool(edges.isfinite().all())
    assert response.matrix_EC.dtype == torch.float32
    assert bool((response.matrix_EC >= 0).all())


def test_no_photon_of_its_band_is_lost_or_made(instrument):
    """Rows over areas sum to 1 in the band, and to no more anywhere."""
    response = instrument.response(dtype=torch.float64)
    energy_E = (response.energy_edges_E1[1:] + response.energy_edges_E1[:-1]) / 2
    area_E = instrument.area(energy_E, instrument.check_filter())
    assert bool((area_E > 0).all())
    sum_E = response.matrix_EC.sum(1) / area_E
    assert float(sum_E.max()) < 1 + 1e-9
    low, high = instrument.band_kev
    inside_E = (energy_E > max(low, 0.5)) & (energy_E < high)
    assert float(sum_E[inside_E].min()) > 0.98
    # Most photons are recorded near their energy.
    channel_E = response.matrix_EC[inside_E].argmax(1)
    centre_C = (response.channel_edges_C1[1:] + response.channel_edges_C1[:-1]) / 2
    torch.testing.assert_close(centre_C[channel_E], energy_E[inside_E], rtol=0.01, atol=0.03)


def test_its_band_is_one_that_its_response_sees(instrument, response):
    low, high = instrument.band_kev
    assert float(response.channel_edges_C1[0]) <= low < high <= float(response.channel_edges_C1[-1])
    energy_E = torch.linspace(low, high, 500, dtype=torch.float64)
    area_E = instrument.area(energy_E, instrument.filters[0])
    assert float(area_E.max()) > 100
    assert float(area_E.min()) > 5e-4 * float(area_E.max())


def test_filters_are_known_and_only_absorb(instrument):
    energy_E = torch.linspace(*instrument.band_kev, 200, dtype=torch.float64)
    assert instrument.check_filter() == instrument.filters[0]
    first_E = instrument.area(energy_E, instrument.filters[0])
    for name in instrument.filters[1:]:
        ratio_E = instrument.area(energy_E, name) / first_E
        assert float(ratio_E.max()) < 1
        assert float(ratio_E[-1]) > 0.95  # hard photons pass
    for call in (instrument.check_filter, instrument.response):
        with pytest.raises(InputError, match=rf"unknown {instrument.title} filter 'open'; use "):
            call("open")


def test_files_name_the_filter(instrument):
    for name in instrument.filters:
        word, date = (
            ("NONE", f"{name}-07-01T00:00:00") if instrument.filter_is_year else (name.upper(), "")
        )
        assert instrument.filter_of(word, date) == name
    assert instrument.filter_of("CalClosed") == ""


def test_backgrounds_are_positive_depend_on_the_seed_and_grow_with_the_region(instrument, response):
    def draw(seed, *region):
        generator = torch.Generator().manual_seed(seed)
        return instrument.draw_backgrounds(response, 40, generator, *region)

    rate_BC = draw(0)
    assert rate_BC.shape == (40, response.n_channels)
    assert bool((rate_BC > 0).all())
    assert torch.equal(rate_BC, draw(0))
    assert not torch.equal(rate_BC, draw(1))
    torch.testing.assert_close(draw(0, (2.0, 2.0)), 2 * draw(0, (1.0, 1.0)))


def test_hard_backgrounds_are_of_the_stated_level(instrument, response):
    """Above the sky's share, counts/s/keV/arcmin^2 are continuum and protons as they are stated."""
    levels = instrument.background
    generator = torch.Generator().manual_seed(0)
    rate_BC = instrument.draw_backgrounds(response, 400, generator, (1.0, 1.0))
    # A band of 5.6-6.2 keV has no strong line, and little of the sky.
    inside_C = channel_bins(response.channel_edges_C1, [5.6, 6.2]) == 0
    level_B = rate_BC[:, inside_C].sum(1) / float(response.channel_edges_C1.diff()[inside_C].sum())
    continuum = levels.continuum[0] * (5.9 / 6) ** -levels.continuum[1]
    low, high = levels.protons
    middle_protons = math.sqrt(low * high) * 5.9**-0.6
    stated = continuum + middle_protons
    assert 0.8 * stated < float(level_B.median()) < 1.6 * stated
    assert low > 0
    assert high > low
    assert 0 < levels.region_arcmin2[0] < levels.region_arcmin2[1]


def test_lines_stand_out_of_the_background(instrument, response):
    """The strongest fluorescence line is where it is stated to be."""
    energy = max(instrument.background.lines, key=lambda line: line[1])[0]
    generator = torch.Generator().manual_seed(0)
    rate_BC = instrument.draw_backgrounds(response, 200, generator, (1.0, 1.0))
    width = 0.12

    def level(middle):
        inside_C = channel_bins(response.channel_edges_C1, [middle - width, middle + width]) == 0
        return float(rate_BC[:, inside_C].mean())

    assert level(energy) > 1.15 * max(level(energy - 4 * width), level(energy + 4 * width))


def test_what_is_written_is_read_back_and_folds_to_the_same_counts(instrument, response, tmp_path):
    source, region = _fake(instrument, response)
    write_response(tmp_path / "own.rsp", response)
    write_spectrum(tmp_path / "background.pha", region, "background")
    named = {"respfile": "own.rsp", "backfile": "background.pha"}
    write_spectrum(tmp_path / "source.pha", replace(source, **named))
    read = read_observation(tmp_path / "source.pha")
    flux_E = parse("wabs * powerlaw")(response.energy_edges_E1, SOURCE)[0]
    torch.testing.assert_close(read.response.fold(flux_E), response.fold(flux_E), rtol=1e-6, atol=0)
    assert read.response.first_channel == response.first_channel
    assert torch.equal(read.spectrum.counts_C, source.counts_C)
    assert torch.equal(read.background.counts_C, region.counts_C)
    assert instrument in instruments.find(read.spectrum.telescope, read.spectrum.instrument)


def _fake(instrument: Instrument, response):
    generator = torch.Generator().manual_seed(1)
    flux_E = parse("wabs * powerlaw")(response.energy_edges_E1, SOURCE)[0]
    rate_C = instrument.draw_backgrounds(response, 1, generator)[0]
    return fakeit(response, flux_E, 2e4, generator, rate_C, 0.25)


def test_good_events_have_rules(instrument):
    from astropy.table import Table

    rules = instrument.events
    assert rules.energy
    zeros = {name: [0, 0] for name in rules.good}
    table = fits.BinTableHDU(Table(zeros | {"RAWY": [100, 100]}))
    names = [column.name for column in table.columns]
    assert good_events("f", table, names, rules).all()
    for name in rules.good:
        with pytest.raises(InputError, match=f"no column {name}"):
            good_events("f", table, [each for each in names if each != name], rules)


def test_spectra_of_it_can_be_simulated(instrument):
    simulator = Simulator(SimulateConfig(instrument=instrument.name, n_backgrounds=3))
    spec = simulator.spec
    filter_name = instrument.response().filter
    assert spec.instrument == f"{instrument.telescope}/{instrument.detectors[0]}/{filter_name}"
    low, high = instrument.band_kev
    assert spec.energy_edges == tuple(edge for edge in default_grid() if low <= edge <= high)
    assert spec.energy_edges[0] == pytest.approx(low, abs=0.02)
    assert spec.energy_edges[-1] == pytest.approx(high, abs=0.06)
    assert IngestConfig(instrument=instrument.name).energy_edges == spec.energy_edges
    batch = simulator.draw(0, 0)
    assert bool((batch.counts_BC.sum(1) > 0).all())
    assert bool(batch.area_BA.isfinite().all())


@pytest.mark.parametrize(
    "instrument", [each for each in map(instruments.load, instruments.names()) if each.imaging]
)
def test_its_images_have_all_their_parts(instrument):
    imaging = instrument.imaging
    assert 0.1 < imaging.pixel_arcsec < 20
    radius = torch.tensor([2.0, 30.0, 300.0], dtype=torch.float64)
    enclosed = imaging.psf.enclosed(radius)
    assert bool((enclosed.diff() > 0).all())
    assert 0.5 < float(enclosed[1]) < 1
    assert imaging.psf.kernel(0.0, imaging.pixel_arcsec).sum() == pytest.approx(1)
    assert all(0 < share < 0.2 for share in imaging.out_of_time.values())
    if imaging.pointing is not None:
        assert imaging.detector_arcsec is not None
        header = fits.Header(
            {"TELESCOP": instrument.telescope, "INSTRUME": instrument.detectors[0],
             "CTYPE1": "DETX", "CTYPE2": "DETY", "CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": 0.0,
             "CRVAL2": 0.0, "CDELT1": 80.0, "CDELT2": 80.0, "RA_PNT": 50.0, "DEC_PNT": 41.0,
             "PA_PNT": 262.0}
        )  # fmt: skip
        at_2 = [each / imaging.detector_arcsec / 80 for each in imaging.pointing]
        assert celestial(header).wcs_pix2world([at_2], 0)[0] == pytest.approx([50.0, 41.0])
    if imaging.camera is not None:
        camera, theta = imaging.camera, torch.tensor([0.0, 5.0, 10.0])
        assert float(camera.vignetting(theta)[0]) == pytest.approx(1, abs=0.01)
        assert bool((camera.vignetting(theta).diff() < 0).all())
        rate_HW = torch.rand(camera.FRAME, camera.FRAME, generator=torch.Generator().manual_seed(0))
        smeared_HW = camera.smear(rate_HW, 0.063)
        assert float(smeared_HW.sum()) == pytest.approx(float(rate_HW.sum()), rel=1e-5)
        assert not torch.equal(smeared_HW, rate_HW)


def test_an_unknown_instrument_is_refused_with_those_that_are_known():
    with pytest.raises(InputError, match=r"unknown instrument 'hubble'; choose one of: acis_i"):
        instruments.load("hubble")
    with pytest.raises(InputError, match=f"unknown instrument '{'a' * 50}'; choose"):
        instruments.load("a" * 5000)
    with pytest.raises(InputError, match="unknown instrument 'hubble'"):
        Simulator(SimulateConfig(instrument="hubble"))


class Point:
    """An entry point of another package."""

    value = "others.wolter:TEST"

    def __init__(self, name, found):
        self.name, self.found = name, found

    def load(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_other_packages_add_instruments_by_entry_points(monkeypatch):
    own = replace(instruments.load("epic_pn"), name="glass", detectors=("GLASS",))
    points = [Point("glass", own), Point("broken", ImportError("no\nglass")), Point("not", 3)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    instruments._all.cache_clear()
    try:
        assert set(instruments.names()) > {"glass", "broken", "not", "epic_pn"}
        assert instruments.load("glass") is own
        assert instruments.find("XMM", "GLASS") == (own,)
        assert instruments.find("XMM", "EPN") == (instruments.load("epic_pn"),)
        told = (
            r"^instrument broken \(others.wolter:TEST\) cannot be imported: ImportError: no glass"
        )
        with pytest.raises(InputError, match=told):
            instruments.load("broken")
        with pytest.raises(InputError, match="is not of the type Instrument with that name"):
            instruments.load("not")
    finally:
        instruments._all.cache_clear()
