import dataclasses
import json

import pytest
import torch
from tests.synthetic import make_batch

from wolter.answering.uploads import Upload
from wolter.errors import InputError
from wolter.spectra import uploads
from wolter.spectra.grid import default_grid
from wolter.spectra.reading import Record, read_record
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges
from wolter.spectra.uploads import Job, from_json, read_job, to_json
from wolter.xray.spectral.observation import read_spectrum, write_spectrum
from wolter.xray.spectral.response import read_response
from wolter.xray.spectral.writing import write_response

SPEC = SpectraSpec(default_grid())


def upload(path, name=None):
    return Upload(name or path.name, str(path))


@pytest.fixture
def job(pha, tmp_path):
    """The job of a spectrum whose files are kept under other names, apart from each other."""
    kept = {}
    for role, name in (("pha", "source.pha"), ("rmf", "pn.rsp"), ("background", "background.pha")):
        folder = tmp_path / f"kept-{role}"
        folder.mkdir()
        (tmp_path / name).rename(folder / "0.fits")
        kept[role] = Upload(name, str(folder / "0.fits"))
    return Job(kept["pha"], SPEC, rmf=(kept["rmf"],), background=(kept["background"],))


def test_a_job_reads_what_the_files_hold(job, tmp_path):
    record = read_job(job)
    direct = read_record(
        tmp_path / "kept-pha" / "0.fits",
        SPEC,
        rmf=tmp_path / "kept-rmf" / "0.fits",
        background=tmp_path / "kept-background" / "0.fits",
    )
    assert torch.equal(record.batch.counts_BC, direct.batch.counts_BC)
    assert torch.equal(record.batch.background_BC, direct.batch.background_BC)
    assert record.name == "source.pha"


def test_json_keeps_a_record_bit_by_bit(job):
    record = read_job(job)
    again = from_json(to_json(record))
    for field in dataclasses.fields(record.batch)[:4]:
        assert torch.equal(getattr(again.batch, field.name), getattr(record.batch, field.name))
    assert (again.name, again.flags) == (record.name, record.flags)


def test_files_are_found_by_name_among_several(job):
    other = Upload("other.rsp", job.pha.path)
    several = dataclasses.replace(job, rmf=(other, *job.rmf))
    assert torch.equal(read_job(several).batch.counts_BC, read_job(job).batch.counts_BC)
    gzipped = dataclasses.replace(job.rmf[0], name="pn.rsp.gz")  # was inflated when stored
    assert read_job(dataclasses.replace(job, rmf=(other, gzipped))).name == "source.pha"
    with pytest.raises(InputError, match=r"its RMF pn\.rsp \(RESPFILE\) is not among the uploads"):
        read_job(dataclasses.replace(job, rmf=(other, other)))


def test_missing_files_are_named_with_the_remedy(job):
    with pytest.raises(InputError, match=r"^source\.pha: its RMF pn\.rsp .*response=embedded"):
        read_job(dataclasses.replace(job, rmf=()))
    with pytest.raises(InputError, match=r"^source\.pha: its background .*no_background=true"):
        read_job(dataclasses.replace(job, background=()))
    without = dataclasses.replace(job, background=(), use_background=False)
    assert read_job(without).batch.background_scale_B.item() == 0


@pytest.mark.parametrize("link", ["absolute", "beside", "above"])
def test_links_never_reach_the_server_s_disk(job, tmp_path, link):
    rmf = tmp_path / "kept-rmf" / "0.fits"
    beside = tmp_path / "kept-pha" / "beside.rsp"
    beside.write_bytes(rmf.read_bytes())
    name = {"absolute": str(rmf), "beside": beside.name, "above": "../kept-rmf/0.fits"}[link]
    spectrum = read_spectrum(tmp_path / "kept-pha" / "0.fits")
    linked = tmp_path / "kept-pha" / "linked.fits"
    write_spectrum(linked, dataclasses.replace(spectrum, respfile=name))
    with pytest.raises(InputError, match="is not among the uploads"):
        read_job(dataclasses.replace(job, pha=upload(linked), rmf=()))
    write_spectrum(linked, dataclasses.replace(spectrum, ancrfile=name), overwrite=True)
    with pytest.raises(InputError, match="is not among the uploads"):
        read_job(dataclasses.replace(job, pha=upload(linked)))
    write_spectrum(linked, dataclasses.replace(spectrum, backfile=name), overwrite=True)
    with pytest.raises(InputError, match="is not among the uploads"):
        read_job(dataclasses.replace(job, pha=upload(linked), background=()))


def test_messages_name_the_client_s_files_only(job, tmp_path):
    wrong = tmp_path / "kept-rmf" / "1.fits"
    wrong.write_bytes((tmp_path / "kept-pha" / "0.fits").read_bytes())
    swapped = dataclasses.replace(job, rmf=(upload(wrong, "my.rmf"),))
    with pytest.raises(InputError, match=r"^my\.rmf: no MATRIX table") as caught:
        read_job(swapped)
    assert str(tmp_path) not in str(caught.value)


def test_negative_elements_of_a_response_are_refused_where_they_matter(job, tmp_path):
    rmf = tmp_path / "kept-rmf" / "0.fits"
    response = read_response(rmf)
    response.matrix_EC[3, 100] = -1e3
    rmf.unlink()
    write_response(rmf, response)
    refined = dataclasses.replace(job, gridded=str(tmp_path / "gridded"))
    with pytest.raises(InputError, match=r"^(source\.pha|pn\.rsp): .*-"):
        read_job(refined)


def test_evidence_is_kept_of_spectra_beyond_the_training(job, tmp_path):
    within = TrainingRanges.of(read_job(job).batch)
    beyond = dataclasses.replace(within, background_scale=(90.0, 100.0))
    for trained, kept in ((None, True), (within, False), (beyond, True)):
        path = tmp_path / f"gridded-{kept}-{trained is None}"
        read_job(dataclasses.replace(job, gridded=str(path), trained=trained))
        assert path.exists() is kept


def find(job, sent, named, what="RMF"):
    path = uploads._find(job, sent, named, what, "KEYWORD")
    return path if path is None else path.rpartition("/")[2]


def test_which_upload_is_meant(job):
    one, two = Upload("one.rsp", "/x/1"), Upload("two.rsp.gz", "/x/2")
    assert find(job, (one,), "another.rsp") == "1"  # the only one serves every spectrum
    assert find(job, (one, two), "one.rsp") == "1"
    assert find(job, (one, two), "/far/two.rsp") == "2"
    assert find(job, (one, two), "two.rsp.gz") == "2"
    assert find(job, (one, two), "two.rsp[MATRIX]") == "2"
    assert find(job, (one, two), " two.rsp{3} ") == "2"
    assert find(job, (), "") is None
    for sent, named in (((one, two), "three.rsp"), ((one, two), ""), ((), "one.rsp")):
        with pytest.raises(InputError, match=r"its RMF .* \(KEYWORD\) is not among the uploads"):
            find(job, sent, named)


def test_a_spectrum_may_be_its_background_and_nothing_else(job):
    assert uploads._find(job, (), job.pha.name, "background", "BACKFILE") == job.pha.path
    for what in ("RMF", "ARF"):
        with pytest.raises(InputError, match="is not among the uploads"):
            uploads._find(job, (), job.pha.name, what, "KEYWORD")
    other = Upload("b.pha", "/x/b")
    assert uploads._find(job, (other,), job.pha.name, "background", "BACKFILE") == "/x/b"


def test_the_background_is_used_unless_it_is_left_out(job):
    assert Job(job.pha, SPEC).use_background is True
    spectrum = read_spectrum(job.pha.path)
    assert uploads._background(job, spectrum) == job.background[0].path
    without = dataclasses.replace(job, use_background=False)
    assert uploads._background(without, spectrum) == "none"


def test_records_survive_json_bit_by_bit():
    one = make_batch(3, seed=4)[1:2]
    batch = dataclasses.replace(one, redistribution_BQA=torch.rand(one.redistribution_BQA.shape))
    record = Record("a", batch, ("anomalous", "few_counts"), 0.3)
    again = uploads.from_json(json.loads(json.dumps(uploads.to_json(record))))
    assert (again.name, again.flags, again.areascale) == ("a", ("anomalous", "few_counts"), 0.3)
    for name in (
        "counts_BC", "background_BC", "background_scale_B", "exposure_B", "area_BA",
        "redistribution_BQA",
    ):  # fmt: skip
        assert torch.equal(getattr(again.batch, name), getattr(batch, name)), name
    bare = dataclasses.replace(batch, area_BA=None, redistribution_BQA=None)
    again = uploads.from_json(uploads.to_json(dataclasses.replace(record, batch=bare)))
    assert again.batch.area_BA is None
    assert again.batch.redistribution_BQA is None
