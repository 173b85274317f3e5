"""Answers for spectra by any family, and the words in which they are refused."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from wolter.registry.checkpoint import load_model
from wolter.serve.problems import in_http
from wolter.spectra import reading
from wolter.spectra.serving import WORDS, ServedSpectra


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no RMF (RESPFILE); give --rmf FILE", "no RMF (RESPFILE); send it in the field rmf"),
        ("is not beside it; give --arf FILE or none", "is not beside it; send it in the field arf"),
        ("its own background; give --background FILE",
         "its own background; send it in the field background"),
        ("800 from 0; pass the RMF of this spectrum", "800 from 0; send its RMF in the field rmf"),
        ("thick: pass the RMF and ARF of this spectrum",
         "thick: send its RMF and ARF in the fields rmf and arf, and ask for response=files"),
        ("no effective area; pass its ARF", "no effective area; send its ARF in the field arf"),
        ('count it twice; pass "none" as ARF', "count it twice; send no ARF, with ANCRFILE NONE"),
        ("(HDUCLAS2 NET); pass the total spectrum", "(HDUCLAS2 NET); send the total spectrum"),
        ("(OSError: No SIMPLE card. If this is really a FITS file, try with "
         "ignore_missing_simple=True); fetch it again",
         "(OSError: No SIMPLE card.); fetch it again"),
        ("forgive arf FILE; bypass arf", "forgive arf FILE; bypass arf"),
    ],
)  # fmt: skip
def test_remedies_of_the_library_become_fields_of_a_request(said, told):
    assert in_http(said, WORDS) == told


def test_no_reader_of_spectra_says_what_http_cannot():
    """What the library says of spectra, in all its modules that read uploads."""
    found = []
    modules = "ogip.pha", "ogip.pha_columns", "ogip.matrices", "spectral.observation"
    for name in modules:
        text = Path(importlib.import_module(f"wolter.xray.{name}").__file__).read_text()
        found += re.findall(r"[;:] (?:pass|give) [^\n]*", text)
    found += re.findall(r"[;:] (?:pass|give) [^\n]*", Path(reading.__file__).read_text())
    assert len(found) >= 5
    said = [in_http(each, WORDS) for each in found]
    assert not [each for each in said if re.search(r"\bpass\b|\w=(?!files)|FILE|--", each)]


@pytest.mark.parametrize("exposure_s", [(2e4, 3e4), None])
def test_what_is_told_of_models(untrained, exposure_s):
    model = load_model(untrained("mlp"))
    spec = dataclasses.replace(model.card.spec, exposure_s=exposure_s)
    model = dataclasses.replace(model, card=dataclasses.replace(model.card, spec=spec))
    told = ServedSpectra(model, "3").info(default=True)
    assert (told.kind, told.path) == ("spectra", "/v1/spectra/parameters")
    assert (told.model_name, told.model_version, told.default) == ("mlp", "3", True)
    assert told.exposure_s == (None if exposure_s is None else [2e4, 3e4])
    assert told.instrument == "XMM/EPN/Medium"
    assert [p.name for p in told.parameters] == list(spec.names)
    assert told.components == ["powerlaw", "gaussian", "bbody"]
    assert told.energy_edges == list(spec.energy_edges)
    (line,) = [each for each in told.outputs if each.name == "line_energy"]
    assert (line.unit, line.axes) == ("keV", "")
    assert "line_energy" in line.description
