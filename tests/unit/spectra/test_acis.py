"""Another instrument from end to end: simulated, trained on, and asked about a spectrum of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table

from wolter import config as configs
from wolter import family as families
from wolter.cli import main
from wolter.errors import InputError
from wolter.registry.checkpoint import Card, load_model, save_model
from wolter.spectra.commands.simulate import SimulateSpectra
from wolter.spectra.flags import estimate_flags
from wolter.spectra.grid import acis_grid
from wolter.spectra.ingest import IngestConfig, read_spectra
from wolter.spectra.predict import estimate, predict_files
from wolter.spectra.reading import read_record
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.spectra.training_ranges import TrainingRanges
from wolter.train.loop import TrainConfig, Trainer, build
from wolter.xray.emission.components import parse
from wolter.xray.instruments import instrument as instruments
from wolter.xray.spectral.fakeit import fakeit
from wolter.xray.spectral.observation import write_spectrum

CONFIG = SimulateConfig(instrument="acis_s", filter="2004", exposure_s=(4e4, 4e4), components=False)
TRUTH = {
    "nh": 0.2, "slope": 1.8, "pow_norm": 1e-3, "line_energy": 6.4, "line_norm": 2e-5, "sigma": 0.1,
    "kt": 0.15, "bb_norm": 1e-5,
}  # fmt: skip


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, one_thread):
    """The mlp after one epoch of 1,024 spectra, in the plain loop."""
    simulator = Simulator(CONFIG)
    batch = simulator.draw(0, 0)
    family = families.load("mlp")
    module = build(family, family.config(), simulator.spec, seed=0)
    family.normalise(module, batch)
    settings = TrainConfig(epochs=1, batch_size=64, device="cpu")
    losses = []
    pieces = [batch[start : start + 64] for start in range(0, len(batch), 64)]
    trainer = Trainer(family, module, settings, rows=len(batch))
    with torch.no_grad():
        before = float(family.loss(module, batch)[0])
    trainer.run(lambda epoch: iter(pieces), on_epoch=lambda e: losses.append(e.train["loss"]))
    with torch.no_grad():
        after = float(family.loss(module.eval(), batch)[0])
    assert after < before
    folder = tmp_path_factory.mktemp("acis")
    trained = TrainingRanges.of(batch)
    card = Card("mlp", configs.to_dict(family.config()), simulator.spec, trained=trained)
    save_model(folder, card, module)
    return folder


@pytest.fixture(scope="module")
def model(model_folder):
    return load_model(model_folder)


def write(folder, name="acis_s", filter_name="2004", **words):
    """A spectrum of an instrument and its background, with the words of an archive's files."""
    instrument = instruments.load(name)
    response = instrument.response(filter_name)
    generator = torch.Generator().manual_seed(3)
    flux_E = parse(SimulateConfig.model)(response.energy_edges_E1, TRUTH)[0]
    rate_C = instrument.draw_backgrounds(response, 1, generator)[0]
    source, region = fakeit(response, flux_E, 4e4, generator, rate_C, 0.25)
    write_spectrum(folder / "background.pha", replace(region, **words), "background")
    named = replace(source, backfile="background.pha", **words)
    write_spectrum(folder / f"{name}.pha", named)
    return folder / f"{name}.pha"


def test_a_spectrum_of_the_archive_is_answered_without_files(model, tmp_path):
    pha = write(tmp_path, instrument="ACIS", date="2004-01-11T02:58:51")
    table = predict_files(model, [pha], response="embedded", instrument="acis_s")
    row = table[0]
    for p in model.card.spec.parameters:
        assert p.low <= row[p.name] <= p.high
    flags = row["flag"].split(";")
    assert "response_outside_training" not in flags
    assert not [flag for flag in flags if flag.startswith(("other_", "exposure_", "band_"))]


def test_the_year_decides_on_the_response(model, tmp_path):
    """Eight years later the contamination is another response than that of training."""
    late = write(tmp_path, filter_name="2012", instrument="ACIS", date="2012-06-01")
    table = predict_files(model, [late], response="embedded", instrument="acis_s")
    assert "response_outside_training" in table["flag"][0].split(";")
    assert "other_instrument" not in table["flag"][0]


def test_other_instruments_are_flagged(model, tmp_path):
    spec = model.card.spec
    assert spec.instrument == "CHANDRA/ACIS-S/"
    pn = write(tmp_path, "epic_pn", "thin")
    record = read_record(pn, spec, response="embedded", instrument="epic_pn")
    assert "other_instrument:XMM/EPN" in record.flags
    assert "response_outside_training" in _flags(model, record)


def _flags(model, record):
    return estimate_flags(model.card, record.batch, estimate(model, record.batch))[0]


def test_the_two_halves_of_acis_are_two_instruments(model, tmp_path):
    pha = write(tmp_path, "acis_i", date="2004-01-01")
    record = read_record(pha, model.card.spec, response="embedded", instrument="acis_i")
    assert "other_instrument:CHANDRA/ACIS-I" in record.flags
    with pytest.raises(
        InputError,
        match=r"instrument is CHANDRA ACIS-I, .* CHANDRA ACIS-S; ask for instrument acis_i",
    ):
        read_record(pha, model.card.spec, response="embedded", instrument="acis_s")


def test_a_file_without_a_date_has_no_embedded_response(model, tmp_path):
    pha = write(tmp_path)
    with pytest.raises(InputError, match=r"DATE-OBS missing; the embedded response knows 2000, .*"):
        read_record(pha, model.card.spec, response="embedded", instrument="acis_s")
    with pytest.raises(InputError, match="unknown instrument 'acis'"):
        read_record(pha, model.card.spec, response="embedded", instrument="acis")


def test_a_spectrum_behind_a_grating_has_no_embedded_response(model, tmp_path):
    pha = write(tmp_path, date="2004-05-01")
    with fits.open(pha, mode="update") as hdus:
        hdus[1].header["GRATING"] = "NONE"
    read_record(pha, model.card.spec, response="embedded", instrument="acis_s")
    with fits.open(pha, mode="update") as hdus:
        hdus[1].header["GRATING"] = "HETG"
    with pytest.raises(InputError, match="taken behind the grating HETG"):
        read_record(pha, model.card.spec, response="embedded", instrument="acis_s")


def test_simulated_records_are_those_of_files(model, tmp_path):
    """Areas and redistribution of a record are the same from the simulator and from a file."""
    pha = write(tmp_path, date="2004-05-01")
    record = read_record(pha, model.card.spec, response="embedded", instrument="acis_s")
    batch = Simulator(CONFIG).draw(0, 0)
    torch.testing.assert_close(record.batch.area_BA, batch.area_BA[:1], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        record.batch.redistribution_BQA, batch.redistribution_BQA[:1], rtol=0, atol=1e-4,
        equal_nan=True,
    )  # fmt: skip


def test_every_command_takes_the_instrument(model_folder, tmp_path, capsys):
    pha = write(tmp_path, date="2004-05-01")
    asked = ("--response", "embedded", "--instrument", "acis_s")
    for name, options in (
        ("predict", ("mlp", "--checkpoint", str(model_folder))),
        ("fit", ("--no-search", "--no-intervals")),
    ):
        out = tmp_path / f"{name}.csv"
        command = [name, *options, str(pha), *asked, "--out", str(out)]
        assert main(command) == 0, capsys.readouterr().err
        (row,) = Table.read(out)
        assert row["file"] == str(pha)
        assert row["nh"] > 0
        assert main([*command[:-4], "--instrument", "hubble", *command[-2:]]) == 2
        assert "unknown instrument 'hubble'; choose one of: acis_i" in capsys.readouterr().err


def test_ingested_records_are_those_that_are_predicted(model, tmp_path):
    pha = write(tmp_path, date="2004-05-01")
    config = IngestConfig(response="embedded", instrument="acis_s")
    rows = read_spectra([str(pha)], ["a source"], config)
    assert rows["reason"].to_pylist() == [""]
    record = read_record(pha, model.card.spec, response="embedded", instrument="acis_s")
    area_A = np.array(rows["area"].chunk(0).to_numpy_ndarray()[0])
    assert area_A == pytest.approx(record.batch.area_BA[0].numpy())
    with pytest.raises(InputError, match="unknown instrument 'acis'"):
        IngestConfig(instrument="acis")


def test_records_may_be_on_whole_channels_of_acis(tmp_path):
    pha = write(tmp_path, date="2004-05-01")
    config = IngestConfig(response="embedded", instrument="acis_s", grid="acis")
    assert config.energy_edges == acis_grid()
    rows = read_spectra([str(pha)], ["a source"], config)
    counts_C = rows["counts"].chunk(0).to_numpy_ndarray()[0]
    spectrum = read_record(pha, SpectraSpec(acis_grid()), response="embedded", instrument="acis_s")
    assert counts_C.tolist() == spectrum.batch.counts_BC[0].tolist()
    assert counts_C.sum() > 0


def test_a_dataset_is_of_the_instrument_that_is_asked_for():
    asked = SimulateSpectra(instrument="acis_i", filter="2010").config()
    assert (asked.instrument, asked.filter) == ("acis_i", "2010")
    spec = Simulator(asked).spec
    assert spec.instrument == "CHANDRA/ACIS-I/"
    assert 0.5 <= spec.energy_edges[0] < spec.energy_edges[-1] <= 8.0
    wide = SimulateSpectra(instrument="acis_i", channels=9).config()
    assert (wide.energy_edges[0], wide.energy_edges[-1]) == (0.5, 8.0)
    with pytest.raises(InputError, match="unknown ACIS-I filter 'thin'; use 2000, 2001"):
        Simulator(SimulateConfig(instrument="acis_i", filter="thin"))


def test_variety_draws_from_the_instruments_own_filters():
    varied = replace(CONFIG, variety=ResponseVariation(filters=("2000", "2020")), n_backgrounds=2)
    area_BA = Simulator(varied).draw(0, 0).area_BA
    soft_B = area_BA[:, 4] / area_BA[:, 15]  # under the contamination, and above it
    assert len(soft_B.round(decimals=3).unique()) == 2
    assert float(soft_B.max() / soft_B.min()) > 2
