"""Real pairs as a shard dataset, by the command."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from tests import event_lists

from wolter import cli
from wolter.data.batches import read_split
from wolter.data.shards import open_dataset, table_to_numpy
from wolter.errors import InputError
from wolter.images.ingest import ingest_image_dataset

pytestmark = pytest.mark.distributed


def test_event_lists_by_the_command(ray_session, tmp_path, capsys):
    folder, out = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    event_lists.epic_pn(folder / "a.fits", 20_000, OBS_ID="0000000001", OBJECT="One")
    event_lists.epic_pn(folder / "b.fits", 20_000, OBS_ID="0000000002", OBJECT="one", seed=2)
    short = {ccd: [(0.0, 5000.0)] for ccd in range(1, 13)}
    event_lists.epic_pn(folder / "short.fits", 500, times=short, OBS_ID="0000000003")
    (folder / "cut.fits").write_bytes((folder / "a.fits").read_bytes()[:50_000])
    (folder / "README").write_text("nothing")
    words = ["ingest", "images", str(folder), "--out", str(out), "--exposure", "9000"]
    assert cli.main([*words, "--pairs", "2", "--scale", "2"]) == 0
    text = capsys.readouterr().out
    assert "4 pairs of 2 files in 64 records, 2 rejected, 1 other files" in text
    rejects = pq.read_table(out / "rejects.parquet").to_pylist()
    reasons = {row["file"].rsplit("/", 1)[1]: row["reason"] for row in rejects}
    assert set(reasons) == {"short.fits", "cut.fits"}
    assert "4500 s of good exposure in all" in reasons["short.fits"]
    dataset = open_dataset(out, verify=True)
    assert dataset.manifest.kind == "images"
    assert dataset.spec.scale == 2
    assert dataset.spec.exposure_s == pytest.approx((9000, 9000))
    assert dataset.spec.target_exposure_s == pytest.approx(18_000)
    assert dataset.spec.target_background
    assert dataset.spec.instrument == "XMM/EPN/Thin1"
    rows = dataset.read(0).select(["source_id", "split_key"]).to_pylist()
    assert {row["source_id"] for row in rows} == {"0000000001", "0000000002"}
    assert len({row["split_key"] for row in rows}) == 1  # both are of one object
    batch = read_split(dataset, "all")
    assert batch.counts_BHW.shape == (64, 128, 128)
    assert batch.target_BHW.shape == (64, 256, 256)
    assert float(batch.background_BHW.min()) >= 0


def test_no_pair_at_all_is_a_dataset_without_rows(ray_session, tmp_path):
    (tmp_path / "page.fits").write_text("<html>404</html>")
    result = ingest_image_dataset([tmp_path], tmp_path / "out")
    assert (result.pairs, result.used, result.others) == (0, 0, 0)
    assert len(result.rejects) == 1


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no files there; give event lists or images"):
        ingest_image_dataset([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.reference
def test_real_images_are_pairs_that_share_no_photon(ray_session, reference_data, tmp_path):
    folder = reference_data / "xmm_images" / "real"
    result = ingest_image_dataset([folder / "20ks", folder / "full"], tmp_path / "out")
    assert (result.pairs, result.used, result.others, result.rejects) == (6, 12, 0, ())
    dataset = result.dataset
    arrays = table_to_numpy(dataset.read(0))
    assert len(set(arrays["source_id"])) == len(set(arrays["split_key"])) == 6
    assert dataset.spec.exposure_s == pytest.approx((20_000, 20_001.8), abs=0.1)
    for long in sorted((folder / "full").iterdir()):
        (at,) = np.nonzero(arrays["target_file"] == str(long))
        whole = fits.getdata(long)
        assert len(at) == 16
        for i in at:
            rows, columns = (slice(arrays[k][i], arrays[k][i] + 128) for k in ("row", "column"))
            total = arrays["counts"][i].astype(int) + arrays["target"][i]
            seen = arrays["target_exposure"][i] > 0
            assert np.array_equal(total[seen], whole[rows, columns][seen])
            assert not (arrays["counts"][i] + arrays["target"][i])[
                (arrays["exposure"][i] == 0) & ~seen
            ].any()


@pytest.mark.reference
def test_every_real_file_is_accounted_for(ray_session, reference_data, tmp_path):
    """Of three images of an observation the two shorter ones make pairs with the longest."""
    result = ingest_image_dataset([reference_data / "xmm_images" / "real"], tmp_path / "out")
    assert result.used + len(result.rejects) + result.others == 18
    assert result.pairs == 12
