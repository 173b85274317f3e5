from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.table import Table

from wolter.cli import main
from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.spectra.check_files import check_files
from wolter.xray.emission import components
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.fakeit import fakeit
from wolter.xray.spectral.observation import write_spectrum

TRUTH = {
    "nh": 0.2, "slope": 1.8, "pow_norm": 5e-4, "line_energy": 6.4, "line_norm": 1e-5, "kt": 0.15,
    "bb_norm": 2e-5, "sigma": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def spectra(tmp_path_factory):
    """Spectra of the model, and of the model with a line that it does not have; medium filter."""
    folder = tmp_path_factory.mktemp("spectra")
    response = epic_pn.response("medium")
    model = components.parse("wabs * (powerlaw + gaussian + bbody)")
    strange = components.parse("wabs * (powerlaw + gaussian + bbody + gaussian)")
    more = {"line_energy_2": 2.0, "sigma_2": 0.05, "line_norm_2": 2e-4}
    for name, flux_BE in (
        ("plain.pha", model(response.energy_edges_E1, TRUTH)),
        ("strange.pha", strange(response.energy_edges_E1, TRUTH | more)),
    ):
        generator = torch.Generator().manual_seed(3)
        spectrum, _ = fakeit(response, flux_BE[0].float(), 25_000.0, generator)
        write_spectrum(folder / name, spectrum)
    return folder / "plain.pha", folder / "strange.pha"


def check(model, *files, **options):
    return check_files(model, files, response="embedded", background="none", **options)


def test_what_the_model_cannot_explain_is_flagged(spectra, untrained):
    table = check(load_model(untrained("mlp")), *spectra)
    plain, strange = table
    # The fit explains the spectrum even where the untrained network's answer does not.
    assert "not_explained" not in plain["flag"].split(";")
    assert abs(plain["cstat"] - plain["cstat_expected"]) < 4 * plain["cstat_sigma"]
    assert "not_explained" in strange["flag"].split(";")


def test_a_refined_posterior_holds_the_truth_whatever_the_network_says(spectra, untrained):
    model = load_model(untrained("posterior"))
    (row,) = check(model, spectra[0], refined=True)
    assert row["effective"] < 0.1  # of an untrained network
    assert row["p_value"] > 1e-3
    for name in model.card.spec.names:
        low, high = row[f"{name}_lolim95"], row[f"{name}_hilim95"]
        width = high - low
        assert low - width < TRUTH[name] < high + width, name
    assert row["slope_hilim"] - row["slope_lolim"] < 0.2


def test_point_families_have_nothing_to_refine(spectra, untrained):
    with pytest.raises(InputError, match="gives no posterior"):
        check(load_model(untrained("mlp")), spectra[0], refined=True)


def test_files_that_cannot_be_read_are_rejected_with_their_reason(spectra, untrained, tmp_path):
    rejects = []
    table = check(
        load_model(untrained("mlp")),
        tmp_path / "nowhere.pha",
        spectra[0],
        on_reject=lambda file, reason: rejects.append((Path(file).name, reason)),
    )
    assert len(table) == 1
    assert [name for name, _ in rejects] == ["nowhere.pha"]


def test_the_command_draws_pictures(spectra, untrained, tmp_path, capsys):
    out, plots = tmp_path / "t.fits", tmp_path / "plots"
    code = main(
        [
            "predict", "posterior", str(spectra[0]), "--response", "embedded",
            "--background", "none", "--checkpoint", str(untrained("posterior")),
            "--plots", str(plots), "--out", str(out),
        ]
    )  # fmt: skip
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert printed.out.splitlines() == [f"1 spectra: {out}", f"plots: {plots}"]
    assert np.isfinite(Table.read(out)["cstat"][0])
    assert {file.name for file in plots.iterdir()} == {"plain-corner.png", "plain-spectrum.png"}


def test_files_of_one_name_have_their_own_pictures(spectra, untrained, tmp_path):
    files = []
    for folder, file in zip("ab", spectra, strict=True):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "src.pha")
        files[-1].write_bytes(file.read_bytes())
    check(load_model(untrained("mlp")), *files, plots=tmp_path / "plots")
    pictures = {file.name: file.read_bytes() for file in (tmp_path / "plots").iterdir()}
    assert set(pictures) == {"a-src-spectrum.png", "b-src-spectrum.png"}
    assert len(set(pictures.values())) == 2


def test_a_picture_tells_the_tables_figures_of_the_refined_posterior(
    spectra, untrained, tmp_path, monkeypatch
):
    import wolter.spectra.model_check_plots as module

    drawn = {}
    predictive, sampled = module.predictive_plot.predictive, module.predictive

    def kept(*arguments, **options):
        drawn.update(options)
        return predictive(*arguments, **options)

    def chosen(samples_SP):
        drawn["samples"] = samples_SP
        return sampled(samples_SP)

    monkeypatch.setattr(module.predictive_plot, "predictive", kept)
    monkeypatch.setattr(module, "predictive", chosen)
    model = load_model(untrained("posterior"))
    (row,) = check(model, spectra[0], refined=True, plots=tmp_path)
    quoted = drawn["quoted"]
    assert (quoted.cstat, quoted.expected, quoted.sigma, quoted.p_value) == (
        row["cstat"], row["cstat_expected"], row["cstat_sigma"], row["p_value"]
    )  # fmt: skip
    edges = np.array(model.card.spec.energy_edges)
    widths = np.array(drawn["widths_kev"])  # 4 channels of 5 eV in bins of 20 eV, or 3, or 5
    assert widths.sum() == pytest.approx(edges[-1] - edges[0], abs=0.01)
    # The median of the refined samples is that of the table, and not the network's.
    assert float(drawn["samples"][:, 1].median()) == pytest.approx(row["slope"], abs=0.02)
