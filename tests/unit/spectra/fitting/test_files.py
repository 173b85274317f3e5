"""`wolter fit` on PHA files."""

import dataclasses
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from wolter import cli
from wolter.spectra.fitting.datasets import FitConfig, FromPrior
from wolter.spectra.fitting.files import FileFits, FromNetwork, fit_files
from wolter.spectra.grid import default_grid
from wolter.spectra.reading import to_record
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.simulator import REFERENCE_PRIOR, SimulateConfig
from wolter.xray.emission import components
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.fakeit import fakeit
from wolter.xray.spectral.observation import Observation, read_spectrum, write_spectrum

NAMES = [p.name for p in REFERENCE_PRIOR]
REFERENCE = SpectraSpec(
    default_grid(), REFERENCE_PRIOR, model=SimulateConfig.model, fixed={"sigma": 0.1}
)


@pytest.fixture
def how():
    return FileFits(
        spec=REFERENCE,
        start=FromPrior(REFERENCE_PRIOR),
        config=FitConfig("wstat", intervals=False),
    )


def rewritten(pha, name, **changes):
    path = pha.with_name(name)
    write_spectrum(path, dataclasses.replace(read_spectrum(pha), **changes))
    return path


def run(*words, capsys) -> tuple[int, str, str]:
    code = cli.main(["fit", *map(str, words)])
    return code, *capsys.readouterr()


def test_command_writes_one_row_a_file_and_rejects_the_rest(pha, tmp_path, capsys):
    out, bad = tmp_path / "fits.parquet", tmp_path / "cut.pha"
    bad.write_bytes(pha.read_bytes()[:4000])
    code, said, _ = run(pha, bad, pha, "--out", out, capsys=capsys)
    assert (code, said.splitlines()[0]) == (0, f"2 spectra: {out}")
    table = pq.read_table(out)
    expected = ["file", "statistic", "stat", "dof"]
    for name in NAMES:
        expected += [name, f"{name}_lolim", f"{name}_hilim", f"{name}_err"]
    assert table.column_names == [*expected, "converged", "flag"]
    assert table["file"].to_pylist() == [str(pha)] * 2
    assert table["statistic"].to_pylist() == ["wstat"] * 2
    assert table["converged"].type == "bool"
    assert table.schema.field("kt").metadata[b"unit"] == b"keV"
    for row in table.to_pylist():
        for name in NAMES:
            assert row[f"{name}_lolim"] <= row[name] <= row[f"{name}_hilim"]
    rejects = pq.read_table(tmp_path / "fits.rejects.parquet").to_pylist()
    assert [row["file"] for row in rejects] == [str(bad)]


def test_files_of_two_responses_keep_their_order(pha, how):
    other = pha.parent / "other"
    shutil.copytree(pha.parent, other, ignore=shutil.ignore_patterns("other"))
    fainter = rewritten(pha, "fainter.pha", counts_C=read_spectrum(pha).counts_C // 3)
    arealess = rewritten(pha, "half.pha", areascale=0.5)
    files = [pha, arealess, other / "source.pha", fainter]
    together = fit_files(files, how)
    assert together["file"].to_pylist() == [str(file) for file in files]
    for row, file in enumerate(files):
        alone = fit_files([file], how)
        assert together["stat"][row].as_py() == pytest.approx(alone["stat"][0].as_py(), abs=1e-2)


def test_areascale_is_part_of_the_model(pha, how):
    """Half the area and half the counts are the same source, with a larger error."""
    counts_C = torch.full((300,), 40.0, dtype=torch.float64)
    whole = rewritten(pha, "whole.pha", counts_C=2 * counts_C, backfile="none")
    half = rewritten(pha, "half.pha", counts_C=counts_C, areascale=0.5, backfile="none")
    both = fit_files([whole, half], dataclasses.replace(how, background="none"))
    assert both["pow_norm"][1].as_py() == pytest.approx(both["pow_norm"][0].as_py(), rel=0.05)
    assert set(both["statistic"].to_pylist()) == {"cstat"}
    assert all("no_background" in flag for flag in both["flag"].to_pylist())


def test_no_counts_give_upper_limits(pha, how):
    """Norms at their lowest value, with limits above it; nothing that is not a number."""
    empty = rewritten(pha, "empty.pha", counts_C=0 * read_spectrum(pha).counts_C)
    how = dataclasses.replace(how, config=FitConfig("wstat"))
    for background in (None, "none"):
        one = dataclasses.replace(how, background=background)
        (row,) = fit_files([empty], one).to_pylist()
        flags = row["flag"].split(";")
        assert "no_counts" in flags
        assert np.isfinite(row["stat"])
        for p in REFERENCE_PRIOR:
            low, value, high = (row[f"{p.name}{end}"] for end in ("_lolim", "", "_hilim"))
            assert p.low <= low <= value <= high <= p.high
            if p.name.endswith("norm"):
                assert value == low == p.low
                assert high > p.low
                assert f"at_bound:{p.name}" in flags
        assert row["converged"]


def test_fits_that_have_not_converged_are_told(pha, tmp_path, capsys, monkeypatch):
    out = tmp_path / "fits.parquet"
    _, said, _ = run(pha, "--no-intervals", "--out", out, capsys=capsys)
    assert "converged" not in said
    monkeypatch.setattr("wolter.xray.stats.levenberg_marquardt.CLOSE", 0.0)
    monkeypatch.setattr("wolter.xray.stats.levenberg_marquardt.FLAT", 0.0)
    _, said, _ = run(pha, pha, "--no-intervals", "--out", out, capsys=capsys)
    assert "2 of 2 fits have not converged" in said
    for row in pq.read_table(out).to_pylist():
        assert row["converged"] is False
        assert "not_converged" in row["flag"].split(";")


def test_a_network_s_estimates_are_the_start(pha, untrained, how, tmp_path, capsys):
    folder = untrained("deepspectra")
    network = FromNetwork(folder)
    _, batch, _ = how.read(pha)
    start_BP = network(batch)
    low_P, high_P = network.model.card.spec.bounds_2P()
    assert start_BP.shape == (1, 7)
    assert ((start_BP >= low_P - 1e-6) & (start_BP <= high_P + 1e-6)).all()
    out = tmp_path / "fits.csv"
    words = ("--start", "network", "--checkpoint", folder, "--no-intervals")
    code, *_ = run(pha, *words, "--out", out, capsys=capsys)
    assert code == 0
    assert "_lolim" not in out.read_text()


def test_another_model_is_fitted_within_its_priors(pha, tmp_path, capsys):
    out = tmp_path / "fits.parquet"
    words = ["--model", "wabs * powerlaw", "--fixed", "nh", "0.2", "--no-search", "--no-intervals"]
    words += ["--prior", "slope", "1", "4", "--prior", "pow_norm", "1e-6", "1e-2", "log"]
    code, *_ = run(pha, *words, "--out", out, capsys=capsys)
    assert code == 0
    table = pq.read_table(out)
    (row,) = table.to_pylist()
    assert {"slope", "pow_norm"} <= row.keys()
    assert not {"nh", "kt", "line_norm"} & row.keys()
    assert row["converged"]
    assert 1 <= row["slope"] <= 4
    assert table.schema.field("pow_norm").metadata[b"unit"] == b"ph / (keV s cm2)"
    code, _, err = run(pha, "--model", "tbabs * diskbb", "--out", out, capsys=capsys)
    assert code == 2
    assert "no prior of nh, tin, disk_norm" in err


def test_known_background_random_starts_and_bounds(pha, tmp_path, capsys):
    out = tmp_path / "fits.parquet"
    words = ("--statistic", "cstat", "--start", "random", "--starts", 3, "--no-intervals")
    code, *_ = run(pha, *words, "--bounds", "slope=1.4,1.6", "--out", out, capsys=capsys)
    assert code == 0
    row = pq.read_table(out).to_pylist()[0]
    assert row["statistic"] == "cstat"
    assert 1.4 <= row["slope"] <= 1.6
    assert row["dof"] == np.unique(np.digitize(np.arange(0.07, 12, 0.04), default_grid())).size - 9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give either PHA files or --data"),
        (("a.pha", "--data", "folder"), "give either PHA files or --data"),
        (("a.pha", "--bounds", "slope=3,1"), "give NAME=LOW,HIGH"),
        (("a.pha", "--bounds", "index=1,3"), "give NAME=LOW,HIGH"),
        (("missing.pha",), "missing.pha"),
        (("a.pha", "--starts", "0"), "give at least one"),
        (("a.pha", "--assume-dataset", "folder"), "--assume-dataset: only with --data"),
        (("--data", "nowhere"), "no dataset.json there"),
        (("--data", "nowhere", "--rmf", "a.rmf"), "--rmf: not used with --data"),
    ],
)
def test_bad_use_is_one_line(words, message, tmp_path, capsys):
    code, _, err = run(*words, "--out", tmp_path / "o.csv", capsys=capsys)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("line_norm", "detected"), [(5e-5, True), (0.0, False)])
def test_components_that_a_fit_can_do_without_are_not_detected(line_norm, detected):
    spec = REFERENCE
    response = epic_pn.response("medium")
    truth = {"nh": 0.2, "slope": 1.8, "pow_norm": 5e-4, "line_energy": 6.4, "kt": 0.15}
    truth |= {"bb_norm": 2e-5, "sigma": 0.1, "line_norm": line_norm}
    flux_BE = components.parse(SimulateConfig.model)(response.energy_edges_E1, truth)
    generator = torch.Generator().manual_seed(3)
    spectrum, _ = fakeit(response, flux_BE[0].float(), 25_000.0, generator)
    observation = Observation(spectrum, response).rebin(spec.energy_edges)
    batch = to_record(Observation(spectrum, response), spec).batch
    batch.expected_background_BC = torch.zeros_like(batch.counts_BC)
    how = FileFits(spec, FromPrior(REFERENCE_PRIOR), FitConfig())
    (flag,) = how.fit(observation, batch)["flag"].tolist()
    flags = flag.split(";")
    assert ("not_detected:line_norm" not in flags) == detected
    assert "not_detected:pow_norm" not in flags
