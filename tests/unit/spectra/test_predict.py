import dataclasses
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from astropy.table import Table

from wolter.errors import InputError
from wolter.registry.checkpoint import fingerprint, load_model
from wolter.spectra.predict import (
    estimate,
    estimate_flags,
    predict_files,
    predict_observations,
    predict_records,
    predict_to_file,
    to_batch,
)
from wolter.spectra.reading import read_record, to_record
from wolter.xray.spectral.observation import read_observation, read_spectrum, write_spectrum
from wolter.xray.spectral.response import rebin_channels


@pytest.fixture
def model(untrained):
    return load_model(untrained("deepspectra"))


def rewritten(pha, name="other.pha", **changes):
    """The spectrum with other header words, in a file of its own."""
    path = pha.with_name(name)
    write_spectrum(path, dataclasses.replace(read_spectrum(pha), **changes))
    return path


def flags_of(model, file, **options):
    return predict_files(model, [file], **options)["flag"][0].split(";")


def test_batch_sums_channels_by_their_centres(pha, model):
    observation = read_observation(pha)
    batch = to_batch([observation, observation], model.card.spec)
    edges = observation.response.channel_edges_C1
    counts = rebin_channels(observation.spectrum.counts_C, edges, model.card.spec.energy_edges)
    assert torch.equal(batch.counts_BC, counts.float().expand(2, -1))
    assert batch.background_scale_B.tolist() == [0.25, 0.25]
    assert batch.exposure_B.tolist() == [25_000.0, 25_000.0]


def test_batch_without_background_has_zeros(pha, model):
    batch = to_batch([read_observation(pha, background="none")], model.card.spec)
    assert batch.background_scale_B.tolist() == [0.0]
    assert batch.background_BC.abs().sum() == 0


def test_table_holds_the_family_s_estimates(pha, model):
    table = predict_files(model, [pha, pha], version="7", chunk=1)
    assert table.colnames[:4] == ["file", "model_name", "model_version", "nh"]
    assert list(table["file"]) == [str(pha)] * 2
    assert set(table["model_version"]) == {"7"}
    batch = to_batch([read_observation(pha)], model.card.spec)
    with torch.inference_mode():
        values = model.family.predict(model.module, batch)
    for name in model.card.spec.names:
        assert table[name][0] == values[name][0]
        assert table[f"{name}_mfe"][1] == values[f"{name}_mfe"][0]
    assert table["nh"].unit == "1e22 cm^-2"
    assert table["bb_norm"].unit == "1e37 erg s^-1 kpc^-2"
    assert "at 1 keV" in table["pow_norm"].description


def test_observations_and_files_agree(pha, model):
    observations = predict_observations(model, [read_observation(pha)])
    files = predict_files(model, [pha])
    assert observations["nh"][0] == files["nh"][0]
    assert observations["file"][0] == "source.pha"
    assert observations["model_version"][0] == fingerprint(model)


def test_chunks_do_not_change_the_answer(pha, model):
    fainter = rewritten(pha, counts_C=read_spectrum(pha).counts_C // 2)
    files = [pha, fainter, pha]
    whole, pieces = predict_files(model, files), predict_files(model, files, chunk=2)
    for name in model.card.spec.names:
        np.testing.assert_allclose(whole[name], pieces[name], rtol=1e-5)


def test_a_plain_spectrum_has_no_flag_but_edges(pha, model):
    assert read_record(pha, model.card.spec).flags == ()


def test_flags_tell_of_the_instrument_and_exposure(pha, model):
    def other(**changes):
        return flags_of(model, rewritten(pha, f"{len(str(changes))}.pha", **changes))

    assert "other_instrument:CHANDRA/ACIS" in other(telescope="CHANDRA", instrument="ACIS")
    assert "other_filter:Thin1" in other(filter="Thin1")
    assert not any(flag.startswith("other") for flag in other(filter="MEDIUM"))
    assert "exposure_outside_training" in other(exposure_s=5_000.0)
    assert "exposure_outside_training" not in other(exposure_s=20_001.0)
    assert "no_background" in flags_of(model, pha, background="none")
    assert "no_counts" in other(counts_C=torch.zeros(300, dtype=torch.float64))


def test_flag_tells_of_missing_channels(pha, model):
    observation = read_observation(pha)
    spec = model.card.spec
    assert to_record(observation, spec).flags == ()
    assert to_record(observation.band(0.5, 12), spec).flags == ("band_not_covered",)
    assert to_record(observation.band(0.05, 9), spec).flags == ("band_not_covered",)
    quality_C = torch.zeros(300, dtype=torch.int16)
    quality_C[100] = 5
    spectrum = dataclasses.replace(observation.spectrum, quality_C=quality_C)
    hole = dataclasses.replace(observation, spectrum=spectrum)
    assert to_record(hole, spec).flags == ("band_not_covered",)


def test_flags_at_the_prior_s_edge_follow_the_exposure(pha, model):
    spec = model.card.spec
    batch = to_batch([read_observation(pha)] * 3, spec)
    batch.exposure_B = torch.tensor([25e3, 10e3, 25e3])
    middle = {p.name: np.full(3, (p.low + p.high) / 2, np.float32) for p in spec.parameters}
    middle["anomaly"] = np.zeros(3, np.float32)
    low = next(p.low for p in spec.parameters if p.name == "line_norm")
    # Twice the lowest norm, at half the shortest trained exposure, is the lowest that is known.
    values = middle | {"line_norm": np.array([2 * low, 2 * low, low], np.float32)}
    flags = estimate_flags(model.card, batch, values)
    assert flags[0] == []
    assert flags[1] == ["exposure_outside_training", "at_prior_edge:line_norm"]
    assert flags[2] == ["at_prior_edge:line_norm"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".vot", ".xml", ".fits"])
@pytest.mark.filterwarnings("ignore:The unit 'erg' has been deprecated")
def test_tables_are_read_back(pha, model, tmp_path, suffix):
    out = tmp_path / "tables" / f"t{suffix}"
    components = suffix != ".csv"
    written = predict_to_file(model, [pha, pha], out, components=components)
    assert (written.rows, written.rejects, written.rejects_file) == (2, (), None)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    expected = predict_files(model, [pha, pha], components=components)
    if suffix == ".parquet":
        arrow = pq.read_table(out)
        table = {name: arrow[name].to_pylist() for name in arrow.column_names}
        assert arrow.schema.field("kt").metadata[b"unit"] == b"keV"
    else:
        table = Table.read(out)
        if suffix != ".csv":
            assert table["kt"].unit == "keV"
    assert list(table if suffix == ".parquet" else table.colnames) == expected.colnames
    for name in expected.colnames:
        if expected[name].dtype.kind == "f":
            np.testing.assert_array_equal(np.asarray(table[name], np.float32), expected[name])
        else:
            assert [str(value) for value in table[name]] == list(expected[name])


def test_unreadable_files_become_rejects(pha, model, tmp_path):
    cut = tmp_path / "cut.pha"
    cut.write_bytes(pha.read_bytes()[:4000])
    missing = tmp_path / "missing.pha"
    out = tmp_path / "out.fits"
    written = predict_to_file(model, [cut, pha, missing], out)
    assert written.rows == 1
    assert [file for file, _ in written.rejects] == [str(cut), str(missing)]
    rows = pq.read_table(tmp_path / "out.rejects.parquet").to_pylist()
    assert [row["file"] for row in rows] == [str(cut), str(missing)]
    assert "truncated" in rows[0]["reason"]
    # A later run without rejects leaves none.
    predict_to_file(model, [pha], out)
    assert not (tmp_path / "out.rejects.parquet").exists()


def test_the_only_file_is_raised_not_rejected(pha, model, tmp_path):
    cut = tmp_path / "cut.pha"
    cut.write_bytes(pha.read_bytes()[:4000])
    with pytest.raises(InputError, match=r"cut\.pha"):
        predict_to_file(model, [cut], tmp_path / "out.csv")
    with pytest.raises(InputError, match=r"cut\.pha"):
        predict_to_file(model, [pha, cut], tmp_path / "out.csv", on_error="raise")
    with pytest.raises(
        InputError, match=r"none of 2 spectra could be read: .*cut\.pha: .*truncated"
    ):
        predict_to_file(model, [cut, cut], tmp_path / "out.csv")
    with pytest.raises(InputError, match="none of 0 spectra could be read: none was given"):
        predict_to_file(model, [], tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_unknown_formats_are_refused_before_any_work(pha, model, tmp_path):
    for name in ("out.txt", "out"):
        with pytest.raises(InputError, match=r"use one of \.parquet, \.csv"):
            predict_to_file(model, [tmp_path / "missing.pha"], tmp_path / name)
    with pytest.raises(InputError, match="CSV holds no vectors"):
        predict_to_file(model, [pha], tmp_path / "out.csv", components=True)


def test_unwritable_output_leaves_nothing(pha, model, tmp_path):
    (tmp_path / "out.fits").mkdir()
    with pytest.raises(InputError, match=r"out\.fits: cannot be written"):
        predict_to_file(model, [pha], tmp_path / "out.fits")
    assert not list(tmp_path.glob(".*"))


def test_fingerprint_follows_the_weights(untrained, model, tmp_path):
    assert fingerprint(model) == fingerprint(load_model(untrained("deepspectra")))
    copy = tmp_path / "copy"
    shutil.copytree(untrained("deepspectra"), copy)
    changed = load_model(copy)
    with torch.no_grad():
        next(changed.module.parameters()).add_(1)
    assert fingerprint(changed) != fingerprint(model)


def test_embedded_response_is_for_epic_pn_alone(pha, model):
    acis = rewritten(pha, telescope="CHANDRA", instrument="ACIS")
    with pytest.raises(InputError, match="CHANDRA ACIS, the embedded response is that of XMM EPN"):
        read_record(acis, model.card.spec, response="embedded")
    closed = rewritten(pha, "closed.pha", filter="Closed")
    with pytest.raises(InputError, match="FILTER Closed"):
        read_record(closed, model.card.spec, response="embedded")
    with pytest.raises(InputError, match="not used with the embedded response"):
        read_record(pha, model.card.spec, response="embedded", rmf="pn.rsp")
    with pytest.raises(InputError, match="300 channels from 0, the embedded response has 4096"):
        read_record(pha, model.card.spec, response="embedded")


def test_embedded_response_needs_no_files(pha, model):
    counts_C = torch.zeros(4096, dtype=torch.float64)
    counts_C[60:2000] = 1
    alone = rewritten(pha, "alone.pha", counts_C=counts_C, respfile="", filter="Thin1")
    with pytest.raises(InputError, match="300 channels"):  # its background is another grid's
        read_record(alone, model.card.spec, response="embedded")
    record = read_record(alone, model.card.spec, response="embedded", background="none")
    assert record.batch.counts_BC.sum() == 1940
    assert record.flags == ("other_filter:Thin1",)
    whole = rewritten(alone, "whole.pha", backfile="none.pha")
    with pytest.raises(InputError, match=r"none\.pha \(BACKFILE\) is not beside it"):
        read_record(whole, model.card.spec, response="embedded")


class Halved:
    """Ranges of a training by which every spectrum was seen with half its area."""

    def effective_exposure(self, batch):
        return batch.exposure_B / 2


def test_the_network_reads_the_exposure_that_its_training_knows(pha, model):
    batch = to_batch([read_observation(pha)], model.card.spec)
    card = dataclasses.replace(model.card, trained=None)
    plain = estimate(dataclasses.replace(model, card=card), batch)
    read = []

    def predict(module, given):
        read.append(given.exposure_B.tolist())
        return model.family.predict(module, given)

    family = dataclasses.replace(model.family, predict=predict)
    for trained, exposure_s in ((None, 25e3), (Halved(), 12.5e3)):
        card = dataclasses.replace(model.card, trained=trained)
        told = dataclasses.replace(model, card=card, family=family)
        found = predict_raw(told, batch)
        assert read.pop() == [exposure_s]
        if trained is None:
            assert all(np.array_equal(found[name], plain[name]) for name in plain)


def predict_raw(model, batch):
    """`estimate` without what it does with few counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wolter.spectra.predict.prior_back", lambda _card, _batch, values: values)
        return estimate(model, batch)


def test_components_are_columns_only_where_they_are_asked_for(pha, model):
    assert not [n for n in predict_files(model, [pha]).colnames if n.startswith("component")]
    observations, spec = [read_observation(pha)] * 2, model.card.spec
    plain = predict_observations(model, observations)
    assert not [name for name in plain.colnames if name.startswith("component")]
    records = [to_record(each, spec) for each in observations]
    assert predict_records(model, records).colnames == plain.colnames
    table = predict_observations(model, observations, components=True)
    batch = to_batch(observations, spec)
    values = estimate(model, batch)["components"]
    for k, name in enumerate(spec.components):
        np.testing.assert_allclose(table[f"component_{name}"], values[:, k], rtol=1e-5)
        assert table[f"component_{name}"].description == f"counts of the {name} component"
        assert table[f"component_{name}"].unit == "ct"
    assert table["component_energy_edges"].shape == (2, len(spec.energy_edges))
    np.testing.assert_allclose(table["component_energy_edges"][1], spec.energy_edges, rtol=1e-6)
    assert table["component_energy_edges"].unit == "keV"


@pytest.mark.parametrize(("chunk", "told"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (10, [3])])
def test_progress_adds_up_to_the_files(pha, model, chunk, told):
    seen = []
    predict_files(model, [pha] * 3, chunk=chunk, on_files=seen.append)
    assert seen == told


def test_every_column_of_a_posterior_is_described(pha, untrained):
    posterior = load_model(untrained("posterior"))
    table = predict_files(posterior, [pha])
    assert [name for name in table.colnames if not table[name].description] == []
    said = {
        "": "estimate of least squared error", "_mfe": "estimate of least fractional error",
        "_lolim": "lower end of the 68 % interval", "_hilim": "upper end of the 68 % interval",
        "_lolim95": "lower end of the 95 % interval", "_hilim95": "upper end of the 95 % interval",
    }  # fmt: skip
    for suffix, text in said.items():
        assert table[f"slope{suffix}"].description == f"slope, {text}"
        assert table[f"nh{suffix}"].unit == "1e22 cm^-2"
    assert table["line_norm_upper"].description == "line_norm, one-sided 95 % upper limit"
    low68, high68 = table["slope_lolim"][0], table["slope_hilim"][0]
    assert table["slope_lolim95"][0] < low68 < high68 < table["slope_hilim95"][0]


def test_every_file_advances_the_progress_read_or_not(pha, model, tmp_path):
    done, rejects = [], []
    files = [tmp_path / "missing.pha", pha, pha, tmp_path / "none.pha", pha]
    table = predict_files(
        model, files, chunk=2, on_reject=lambda *why: rejects.append(why), on_files=done.append
    )
    assert done == [2, 2, 1]
    assert (len(table), len(rejects)) == (3, 2)


def test_a_filter_that_the_response_alone_names_is_flagged(pha, model):
    observation = read_observation(pha)
    spectrum = dataclasses.replace(observation.spectrum, filter="")
    thick = dataclasses.replace(observation.response, filter="Thick")
    other = dataclasses.replace(observation, spectrum=spectrum, response=thick)
    assert to_record(other, model.card.spec).flags == ("other_filter:Thick",)
    same = dataclasses.replace(observation, spectrum=spectrum)
    assert to_record(same, model.card.spec).flags == ()


def test_an_areascale_scales_norms_and_not_the_exposure_that_is_told(pha, model):
    table = predict_files(model, [rewritten(pha, areascale=0.5), pha])
    assert list(table["exposure_s"]) == [25_000.0, 25_000.0]
    outside = ["exposure_outside_training" in flags.split(";") for flags in table["flag"]]
    assert outside == [True, False]  # of 12.5 ks at the full area
