"""Columns of tables of estimates, their words and units; which translators and files fit."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.registry.checkpoint import fingerprint, load_model
from wolter.spectra import columns as tables
from wolter.spectra import predict
from wolter.spectra.columns import to_columns, to_table
from wolter.spectra.predict import (
    estimate,
    predict_files,
    predict_observations,
    predict_records,
    predict_to_file,
)
from wolter.spectra.reading import read_record, to_record
from wolter.spectra.schema import Parameter
from wolter.xray.spectral.observation import read_observation


@pytest.fixture
def model(untrained):
    return load_model(untrained("deepspectra"))


def other_spec(model, **changes):
    card = dataclasses.replace(model.card, spec=dataclasses.replace(model.card.spec, **changes))
    return dataclasses.replace(model, card=card)


def test_columns_say_what_they_are_and_in_what_unit(untrained):
    parameters = (
        Parameter("plain", 0.0, 1.0),
        Parameter("kt", 0.1, 1.0, "keV"),
        Parameter("odd", 0.1, 1.0, "furlongs per wolf"),
        Parameter("pow_norm", 0.1, 1.0, "keV^-1 cm^-2 s^-1 at 1 keV"),
    )
    posterior = load_model(untrained("posterior"))
    about = tables._declared(other_spec(posterior, parameters=parameters))
    said = {
        "plain": ("", None),
        "kt": ("", "keV"),
        "odd": (" (furlongs per wolf)", None),
        "pow_norm": (" (keV^-1 cm^-2 s^-1 at 1 keV)", "1 / (keV s cm2)"),
    }
    texts = {
        "": "estimate of least squared error",
        "_mfe": "estimate of least fractional error",
        "_lolim": "lower end of the 68 % interval",
        "_hilim95": "upper end of the 95 % interval",
        "_upper": "one-sided 95 % upper limit",
    }
    for name, (end, unit) in said.items():
        for suffix, text in texts.items():
            told, found = tables.describe(about[name + suffix])
            assert told == f"{name}, {text}{end}"
            assert found == unit
    assert tables.describe(about["counts"])[1] == "ct"
    assert tables.describe(about["exposure_s"]) == ("exposure", "s")
    assert tables.describe(about["component_bbody"]) == ("counts of the bbody component", "ct")
    assert tables.describe(about["anomaly"])[1] is None
    assert tables.describe(None) == ("", None)


def test_columns_are_of_each_record(pha, model):
    spec = model.card.spec
    observation = read_observation(pha)
    records = [to_record(observation, spec), to_record(observation.band(0.5, 12), spec)]
    batch = predict.to_batch([observation, observation.band(0.5, 12)], spec)
    values = estimate(model, batch)
    flags = [["anomalous", "no_background"], []]
    columns = to_columns(model, records, batch, values, flags)
    assert columns["file"] == ["source.pha"] * 2
    assert columns["flag"] == ["anomalous;no_background", "band_not_covered"]
    assert columns["counts"].tolist() == batch.counts_BC.sum(1).tolist()
    assert columns["exposure_s"].tolist() == [25_000.0] * 2
    assert not [name for name in columns if name.startswith("component")]
    assert all(len(column) == 2 for column in columns.values())
    told = to_columns(model, records, batch, values, flags, components=True)
    assert told["component_bbody"].tolist() == values["components"][:, 2].tolist()
    assert told["component_energy_edges"].shape == (2, 257)
    without = {name: value for name, value in values.items() if name != "components"}
    assert to_columns(model, records, batch, without, flags, components=True).keys() == (
        columns.keys()
    )
    with pytest.raises(ValueError, match="shorter"):
        to_columns(model, records, batch, values, flags[:1])


def test_a_table_of_nothing_has_the_columns_and_no_row(model):
    table = to_table(model, [{}, {}])
    assert len(table) == 0
    both = [name + suffix for name in model.card.spec.names for suffix in ("", "_mfe")]
    assert table.colnames == ["file", "model_name", "model_version", *both, "anomaly", "flag"]


def test_versions_that_nobody_numbered_are_fingerprints(pha, model):
    assert re.fullmatch(r"sha256:[0-9a-f]{12}", fingerprint(model))
    for version, told in (("", fingerprint(model)), ("9", "9")):
        assert predict_files(model, [pha], version=version)["model_version"][0] == told
        observed = predict_observations(model, [read_observation(pha)], version)
        assert observed["model_version"][0] == told


def translator_of(edges):
    card = SimpleNamespace(spec=SimpleNamespace(energy_edges=edges))
    return SimpleNamespace(card=card, family="family", module="module")


def test_a_translator_has_the_grid_of_the_model(pha, model, monkeypatch):
    read = []

    def translated(family, module, batch):
        read.append((family, module))
        return dataclasses.replace(batch, counts_BC=2 * batch.counts_BC)

    monkeypatch.setattr(predict, "translated", translated)
    edges = model.card.spec.energy_edges
    same = translator_of((*edges,))  # equal, and another object
    table = predict_files(model, [pha], translator=same)
    assert read == [("family", "module")]
    plain = predict_files(model, [pha])
    assert table["nh"][0] != plain["nh"][0]
    assert table["counts"][0] == plain["counts"][0]  # those of the file
    for other in (edges[:-1], (edges[0] / 2, *edges[1:]), (*edges[:-1], 2 * edges[-1])):
        with pytest.raises(InputError, match=r"^the translator's energy grid is not that of deep"):
            predict_files(model, [pha], translator=translator_of(other))


@pytest.mark.parametrize("kind", ["images", "spectra and more", "".join(["spec", "tra"])])
def test_families_of_spectra_alone_read_spectra(pha, model, kind):
    other = dataclasses.replace(model, family=dataclasses.replace(model.family, task=f"{kind}/x"))
    if kind == "spectra":
        assert len(predict_files(other, [pha])) == 1
        return
    with pytest.raises(InputError, match=f"^family deepspectra reads {kind}, not spectra$"):
        predict_files(other, [pha])


def test_a_thousand_and_some_spectra_pass_at_once(pha, model, monkeypatch):
    record = read_record(pha, model.card.spec)
    monkeypatch.setattr(predict, "read_record", lambda *_, **__: record)
    seen = []
    assert len(predict_files(model, [pha] * 1025, on_files=seen.append)) == 1025
    assert seen == [1024, 1]


def test_the_first_reason_is_told_where_nothing_could_be_read(pha, model, tmp_path):
    cut = tmp_path / "cut.pha"
    cut.write_bytes(pha.read_bytes()[:4000])
    missing = tmp_path / "missing.pha"
    for first, second in ((cut, missing), (missing, cut)):
        line = f"^none of 2 spectra could be read: .*{first.stem}"
        with pytest.raises(InputError, match=line):
            predict_to_file(model, [first, second], tmp_path / "out.csv")


def test_another_way_of_prediction_gets_what_it_was_given(pha, model, tmp_path):
    asked = []

    def table_of(given, files, **options):
        asked.append((given is model, files, sorted(options)))
        return predict_files(given, files, **options)

    written = predict_to_file(model, [pha, pha], tmp_path / "a.csv", table_of=table_of, version="3")
    assert asked == [(True, [pha, pha], ["on_reject", "version"])]
    assert written.rows == 2
    predict_to_file(model, [pha], tmp_path / "a.csv", table_of=table_of)
    predict_to_file(model, [pha, pha], tmp_path / "a.csv", table_of=table_of, on_error="raise")
    assert [options for _, _, options in asked[1:]] == [[], []]


def test_records_of_which_there_are_none_are_an_empty_table(model):
    assert len(predict_records(model, [])) == 0


def test_fingerprints_follow_shapes_and_names(model):
    weight = torch.arange(6.0)

    def of(**state):
        return fingerprint(SimpleNamespace(module=SimpleNamespace(state_dict=lambda: state)))

    prints = {
        of(a=weight), of(a=weight.reshape(2, 3)), of(b=weight), of(a=weight + 1),
        of(a=weight.double()), of(a=weight, b=weight),
    }  # fmt: skip
    assert len(prints) == 6
    assert of(a=weight, b=2 * weight) == of(b=2 * weight, a=weight)
    assert of(a=weight[::2]) == of(a=torch.tensor([0.0, 2.0, 4.0]))


def test_numbers_are_single_precision_and_texts_are_texts(pha, model):
    table = predict_files(model, [pha])
    for name in table.colnames:
        text = name in ("file", "model_name", "model_version", "flag")
        assert table[name].dtype.kind == ("U" if text else "f"), name
        assert text or table[name].dtype == np.float32
