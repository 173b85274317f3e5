"""Analysis of splits that are small, of one class, of none, or without backgrounds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.chandra_sources import SPEC, make_sources

from wolter.spectra.latents import anomalies, classification, pictures, reconstruction
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.sources import Sources, encode
from wolter.spectra.latents.study import Study


@pytest.fixture(scope="module")
def study(model):
    def make(train, test):
        outputs = (encode(model, train), encode(model, test))
        options = EmbeddingEvaluation(clusters=2)
        both = (Sources(train, SPEC), Sources(test, SPEC))
        return Study((model,), ("bands",), *both, {"bands": outputs}, "simulated", options)

    return make


@pytest.fixture(scope="module")
def some():
    return make_sources(60, seed=1)


def of_classes(batch, value):
    return replace(batch, class_B=torch.full((len(batch),), value))


def without_background(batch):
    nothing_BC = torch.zeros_like(batch.counts_BC)
    none = {"background_BC": nothing_BC, "expected_background_BC": nothing_BC}
    return replace(batch, background_scale_B=torch.zeros(len(batch)), **none)


@pytest.mark.parametrize(("train", "test"), [(0.0, 0.0), (torch.nan, None), (None, torch.nan)])
def test_no_classes_are_told_apart_where_a_split_has_fewer_than_two(study, some, train, test):
    both = [some if value is None else of_classes(some, value) for value in (train, test)]
    part = classification.part(study(*both))
    assert part.tables == ()
    assert part.remarks == (classification.NOT_ASKED,)


def test_two_groups_are_asked_where_both_splits_have_both(study, some):
    asked = classification.questions(Sources(some, SPEC), Sources(some, SPEC))
    assert [each.name for each in asked] == ["classes", "two_groups"]
    young = replace(some, class_B=(some.class_B > 1).float())  # AGN and YSO
    asked = classification.questions(Sources(some, SPEC), Sources(young, SPEC))
    assert [each.name for each in asked] == ["classes"]


def test_three_sources_have_no_mean_deviance_and_one_has_no_map(study, some):
    few = study(some, some[torch.arange(3)])
    part = reconstruction.part(few)
    assert part.metrics == {"bands": {}}
    assert all(not line.values for table in part.tables for line in table.lines)
    names = pictures.part(study(some, some[torch.arange(1)])).figures()
    assert not any(name.startswith("latents-") for name in names)


@pytest.mark.parametrize("change", [without_background, lambda batch: batch[torch.arange(19)]])
def test_no_oddities_are_injected_where_nothing_can_be_judged(study, some, change):
    part = anomalies.part(study(some, change(some)))
    assert part.remarks == (anomalies.NOT_INJECTED,)
    assert [table.title for table in part.tables] == ["Quality vetoes of anomalies"]
    part = anomalies.part(study(some[torch.arange(3)], some))
    assert part.remarks == (anomalies.NOT_INJECTED,)


def test_an_anomaly_that_was_not_learnt_has_no_tables(study, some):
    found = study(some, some)
    unknown = {"anomaly": np.full(len(some), np.nan)}
    outputs = {"bands": (found.outputs["bands"][0], {**found.outputs["bands"][1], **unknown})}
    assert anomalies.part(replace(found, outputs=outputs)) == Part()
