"""A release that Ray builds is that of one process, whatever becomes of workers and files."""

import os
import signal
from dataclasses import replace

import duckdb
import pyarrow.parquet as pq
import pytest
import torch
from tests import skies

from wolter.catalogue import quick_looks, release, samples, score
from wolter.catalogue.build import BuildConfig, build
from wolter.catalogue.pictures import score as painting
from wolter.catalogue.write import differing
from wolter.data.shards import open_dataset
from wolter.spectra.ingest import ingest_dataset
from wolter.xray.spectral.observation import read_spectrum, write_spectrum

pytestmark = pytest.mark.distributed

TABLES = ("source", "detection", "posterior", "identification")


@pytest.fixture
def archives(ray_session, pha, tmp_path):
    """Datasets of two good spectra and a truncated one, of one without a position, of a new one."""
    spectrum, background = read_spectrum(pha), (pha.parent / "background.pha").read_bytes()
    response, generator = (pha.parent / "pn.rsp").read_bytes(), torch.Generator().manual_seed(1)
    table, found = ["file,ra,dec"], []
    for number, names in enumerate((("a", "b", "cut"), ("nowhere", "c"), ("new",))):
        folder = tmp_path / f"archive-{number}"
        folder.mkdir()
        (folder / "background.pha").write_bytes(background)
        (folder / "pn.rsp").write_bytes(response)
        for name in names:
            counts_C = torch.poisson(spectrum.counts_C.double() * (1 + len(table)), generator)
            write_spectrum(folder / f"{name}.pha", replace(spectrum, counts_C=counts_C))
            if name != "nowhere":
                table.append(f"{name}.pha,{10 * len(table)},{-5 * len(table)}")
        if "cut" in names:
            whole = (folder / "cut.pha").read_bytes()
            (folder / "cut.pha").write_bytes(whole[: len(whole) // 2])
        found.append(ingest_dataset([folder], tmp_path / f"data-{number}").dataset.path)
    (tmp_path / "positions.csv").write_text("\n".join(table))
    return found, tmp_path / "positions.csv"


@pytest.fixture
def killed(monkeypatch, tmp_path):
    """Scores on Ray; the process that scores the first shard is killed, once."""
    mark = tmp_path / "killed"

    class Killed(score.Scorer):
        def score(self, index):
            if index == 0 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().score(index)

    monkeypatch.setattr(score, "FEW", -1)
    monkeypatch.setattr(score, "Scorer", Killed)
    return mark


def rows(path, table):
    with duckdb.connect(str(path / release.DATABASE), read_only=True) as database:
        found = database.sql(f'SELECT * EXCLUDE (release) FROM "{table}"')
        return found.columns, found.fetchall()


def test_a_build_outlives_a_killed_worker_and_is_the_same_as_without_ray(
    archives, killed, untrained, tmp_path, monkeypatch
):
    data, positions = archives
    config = BuildConfig("R1", models=(f"posterior@{untrained('posterior')}",), positions=positions)
    shards = []
    built = build(data[:2], config, tmp_path / "ray", tmp_path / "scored", 2, shards.append)
    assert killed.exists()
    assert sorted(shards) == [2, 2]
    assert built.new == 4
    assert built.about.rows["detection"] == built.estimates["posterior"] == 3
    reasons = {file.rsplit("/", 1)[-1]: reason for file, reason in built.rejects}
    assert set(reasons) == {"cut.pha", "nowhere.pha"}
    assert "truncated" in reasons["cut.pha"]
    assert "--positions" in reasons["nowhere.pha"]
    assert pq.read_table(built.path / "rejects.parquet").num_rows == built.about.rejects == 2
    assert differing(built.path) == []

    with monkeypatch.context() as plain:
        plain.setattr(score, "FEW", 2048)
        here = build(data[:2], config, tmp_path / "plain", tmp_path / "plain-scored")
    assert here.about.rows == built.about.rows
    for table in TABLES:
        assert rows(here.path, table) == rows(built.path, table), table
    for file in (samples.FILE, quick_looks.FILE, "rejects.parquet"):
        assert (here.path / file).read_bytes() == (built.path / file).read_bytes(), file

    again = build(data, replace(config, name="R2"), tmp_path / "ray", tmp_path / "scored", 2)
    assert again.new == 1
    assert again.about.rows["detection"] == 4
    names, before = rows(built.path, "posterior")
    after = {row[names.index("detection_id")]: row for row in rows(again.path, "posterior")[1]}
    assert all(after[row[names.index("detection_id")]] == row for row in before)


def test_pictures_by_ray_are_those_of_one_process(ray_session, enhancer, tmp_path, monkeypatch):
    stars = skies.picture(skies.header(30, 40, 10, 80), [(30.0, 40.0)], 80)
    data = open_dataset(skies.dataset(tmp_path / "sky", [stars]))
    ref = score.ModelRef.of(f"superres@{enhancer(2)}")
    work = [painting.PictureWork(data, index, (ref,)) for index in range(len(data.files))]
    assert painting.make_pictures(work, tmp_path / "here") == 4
    monkeypatch.setattr(painting, "FEW_BYTES", -1)
    assert painting.make_pictures(work, tmp_path / "ray", workers=1) == 4
    for each in work:
        here, by_ray = (
            pq.read_table(each.file(tmp_path / store, ref)) for store in ("here", "ray")
        )
        assert here.equals(by_ray)
    assert painting.make_pictures(work, tmp_path / "ray") == 0
