import os
import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest

from wolter.data.batches import read_split
from wolter.errors import InputError
from wolter.spectra.ingest import ingest_dataset

pytestmark = pytest.mark.distributed

EXPOSURES_S = {  # from the headers, read with another program
    "3c273.pi": 38564.6,
    "acisf01575_001N001_r0085_pha3.fits.gz": 37664.2,
    "acisf04487_001N023_r0009_pha3.fits.gz": 29715.7,
    "bubble.pi": 34398.0,
    "obs1.pi": 43933.4,
    "qso.pi": 29800.2,
    "PN.pha": 20266.0,
    "PN_spectrum_grp20.fits": 20266.0,
}


@pytest.mark.reference
def test_every_real_spectrum_is_read_or_rejected_with_its_reason(
    ray_session, reference_data, tmp_path
):
    result = ingest_dataset([reference_data], tmp_path)
    rows = result.dataset.read(0).select(["file", "exposure", "source_id"]).to_pylist()
    exposures = {row["file"].rsplit("/", 1)[1]: row["exposure"] for row in rows}
    assert exposures == pytest.approx(EXPOSURES_S, abs=0.1)
    reasons = {file.rsplit("/", 1)[1]: reason for file, reason in result.rejects}
    assert set(reasons) == {
        "MNLup_2138_0670580101_EMOS1_S001_spec.15grp",
        "pntffg_spectrum.ds",
    }
    assert "RMF" in reasons["MNLup_2138_0670580101_EMOS1_S001_spec.15grp"]
    assert pq.read_table(tmp_path / "rejects.parquet").num_rows == 2
    assert result.dataset.manifest.rejects == 2
    files = sum(1 for file in reference_data.rglob("*") if file.is_file())
    counted = result.read + result.backgrounds + len(result.others) + len(result.rejects)
    assert counted == files
    assert Counter(what for _, what in result.others)["responses"] == 19
    assert pq.read_table(tmp_path / "others.parquet").num_rows == len(result.others)
    # Two files of one source fall into one split.
    keys = result.dataset.read(0).select(["source_id", "split_key"]).to_pylist()
    assert len({k["split_key"] for k in keys}) == len({k["source_id"] for k in keys}) == 7


@pytest.mark.reference
def test_bad_files_do_not_stop_the_good_one(ray_session, reference_data, tmp_path):
    folder = tmp_path / "archive"
    shutil.copytree(reference_data / "xmm" / "ngc7793_ulx4", folder)
    (folder / "empty.pha").write_bytes(b"")
    (folder / "page.fits").write_text("<html>404</html>")
    (folder / "short.pha").write_bytes((folder / "PN.pha").read_bytes()[:50_000])
    (folder / "README").write_text("not a spectrum")
    card = (folder / "PN.pha").read_bytes().replace(b"EXPOSURE=", b"EXPOSURE= 1.2.3 /", 1)
    (folder / "card.pha").write_bytes(card[: len((folder / "PN.pha").read_bytes())])
    os.close(os.open(os.fsencode(folder) + b"/\xff.pha", os.O_CREAT))
    result = ingest_dataset([folder], tmp_path / "out")
    assert result.read == 2
    assert {file.rsplit("/", 1)[1] for file, _ in result.rejects} == {
        "empty.pha",
        "page.fits",
        "short.pha",
        "card.pha",
        "?.pha",
    }
    assert ("README", "not FITS") in {
        (file.rsplit("/", 1)[1], what) for file, what in result.others
    }
    batch = read_split(result.dataset, "all")
    assert batch.counts_BC.shape == (2, 256)
    assert batch.counts_BC[0].sum() == batch.counts_BC[1].sum() > 10_000


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no files there"):
        ingest_dataset([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_one_name_in_several_folders_are_sources_of_their_own(ray_session, pha, tmp_path):
    """Their headers name no object."""
    archive = tmp_path / "archive"
    for folder in ("0001/pps", "0002/pps"):
        shutil.copytree(pha.parent, archive / folder, ignore=shutil.ignore_patterns("archive"))
    result = ingest_dataset([archive], tmp_path / "out")
    keys = result.dataset.read(0).select(["source_id", "split_key"]).to_pylist()
    assert [k["source_id"] for k in keys] == ["0001/pps/source.pha", "0002/pps/source.pha"]
    assert keys[0]["split_key"] != keys[1]["split_key"]
