import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.images.reading import load_picture
from wolter.serve import reading
from wolter.serve.config import LEAST_S, MOST
from wolter.serve.errors import TooLargeError
from wolter.serve.reading import ImageJob, Job, Upload, read_image_job, read_job
from wolter.serve.sandbox import from_json, to_json
from wolter.spectra.grid import default_grid
from wolter.spectra.reading import read_record
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges
from wolter.xray.spectral.observation import read_spectrum, write_spectrum
from wolter.xray.spectral.response import read_response
from wolter.xray.spectral.writing import write_response

SPEC = SpectraSpec(default_grid())


def upload(path, name=None):
    return Upload(name or path.name, str(path))


@pytest.fixture
def job(pha, tmp_path):
    """The job of a spectrum whose files are kept under other names, apart from each other."""
    uploads = {}
    for role, name in (("pha", "source.pha"), ("rmf", "pn.rsp"), ("background", "background.pha")):
        folder = tmp_path / f"kept-{role}"
        folder.mkdir()
        (tmp_path / name).rename(folder / "0.fits")
        uploads[role] = Upload(name, str(folder / "0.fits"))
    return Job(uploads["pha"], SPEC, rmf=(uploads["rmf"],), background=(uploads["background"],))


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


@pytest.mark.filterwarnings("ignore:The following header keyword is invalid")
def test_headers_that_cannot_be_written_again_lose_what_is_bad(picture_file, tmp_path):
    content = picture_file.read_bytes()
    named = content.replace(b"OBJECT  = 'a field '", b"OBJECT  'a field '  ")
    assert named != content
    picture_file.write_bytes(named)
    read_image_job(ImageJob(upload(picture_file), str(tmp_path / "read"), 10_000))
    header = load_picture(tmp_path / "read").header
    again = fits.Header.fromstring(header.tostring())
    again.tofile(tmp_path / "again.hdr")  # fails where a card cannot be written
    assert list(again.items()) == list(header.items())
    assert (header["CRPIX1"], header["EXPOSURE"]) == (25.5, 2e4)


def test_pixels_of_images_and_maps_are_counted_before_they_are_read(picture_file, tmp_path):
    height, width = fits.getdata(picture_file).shape
    most, result = height * width, str(tmp_path / "read")
    read_image_job(ImageJob(upload(picture_file), result, most))
    with pytest.raises(TooLargeError, match=rf": {most} pixels; send at most {most - 1}$"):
        read_image_job(ImageJob(upload(picture_file), result, most - 1))
    wide = tmp_path / "wide.fits"
    fits.PrimaryHDU(np.ones((height, width + 1), np.float32)).writeto(wide)
    for role in ("exposure_map", "mask"):
        with pytest.raises(TooLargeError, match=r"^wide\.fits"):
            read_image_job(ImageJob(upload(picture_file), result, most, **{role: (upload(wide),)}))


def test_maps_reach_the_picture(picture_file, tmp_path):
    exposure = tmp_path / "exposure.fits"
    with fits.open(picture_file) as hdus:
        hdus[0].data = np.full(hdus[0].data.shape, 1234.0, np.float32)
        hdus[0].header["BUNIT"] = "s"
        hdus.writeto(exposure)
    job = ImageJob(upload(picture_file), str(tmp_path / "read"), 10_000, (upload(exposure),))
    read_image_job(job)
    assert load_picture(tmp_path / "read").exposure_HW.max() <= 1234


def test_values_are_bounded_at_both_ends():
    reading._bounded("a", "x", torch.tensor([0.0, MOST]), 0.0)
    reading._bounded("a", "x", LEAST_S, least=LEAST_S)
    for bad in (-1e-9, 1.01 * MOST, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"^a: x of "):
            reading._bounded("a", "x", torch.tensor([1.0, bad], dtype=torch.float64))
    with pytest.raises(InputError, match=r"^a: x of "):
        reading._bounded("a", "x", 0.99 * LEAST_S, least=LEAST_S)


def test_evidence_is_kept_of_spectra_beyond_the_training(job, tmp_path):
    within = TrainingRanges.of(read_job(job).batch)
    beyond = dataclasses.replace(within, background_scale=(90.0, 100.0))
    for trained, kept in ((None, True), (within, False), (beyond, True)):
        path = tmp_path / f"gridded-{kept}-{trained is None}"
        read_job(dataclasses.replace(job, gridded=str(path), trained=trained))
        assert path.exists() is kept


def test_the_first_bad_value_is_told():
    def told(*values, **options):
        with pytest.raises(InputError) as caught:
            reading._bounded("a", "counts", *values, **options)
        return str(caught.value)

    reading._bounded("a", "counts", torch.tensor([0.0, 0.5]), 0.25)
    one = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    two = torch.tensor([[1.0, 2e13], [-5.0, -6.0]])
    assert told(one) == "a: counts of -4; 0 to 1e+12 are taken"
    assert told(two) == "a: counts of 2e+13; 0 to 1e+12 are taken"
    assert told(torch.ones(2), two, one) == "a: counts of 2e+13; 0 to 1e+12 are taken"
    assert told(0.5, least=0.75) == "a: counts of 0.5; 0.75 to 1e+12 are taken"


def test_headers_keep_what_can_be_written_in_its_order():
    header = fits.Header()
    header["FIRST"] = 1
    header["COMMENT"] = "words"
    header["HISTORY"] = "more"
    header["SECOND"] = (2.5, "about it")
    header["COMMENT"] = "last"
    header.append(fits.Card.fromstring("BAD     = 'open".ljust(80)), end=True)
    header["THIRD"] = "three"
    plain = reading._plain(header)
    assert [card.keyword for card in plain.cards] == [
        card.keyword for card in header.cards if card.keyword != "BAD"
    ]
    assert plain.comments["SECOND"] == "about it"
    assert (plain["FIRST"], plain["SECOND"], plain["THIRD"]) == (1, 2.5, "three")


def test_only_pictures_are_counted_in_pixels(tmp_path):
    """Cubes, lists of numbers and tables are no images of so many pixels."""
    path = tmp_path / "a.fits"
    cube = fits.ImageHDU(np.zeros((2, 9, 9), np.float32))
    row = fits.ImageHDU(np.zeros(500, np.float32))
    table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=np.arange(500))])
    small = fits.ImageHDU(np.zeros((5, 7), np.float32))
    fits.HDUList([fits.PrimaryHDU(), cube, row, table, small]).writeto(path)
    reading._check_pixels(upload(path), 35)
    with pytest.raises(TooLargeError, match=r": 35 pixels; send at most 34$"):
        reading._check_pixels(upload(path), 34)


def find(job, uploads, named, what="RMF"):
    path = reading._find(job, uploads, named, what, "KEYWORD")
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
    for uploads, named in (((one, two), "three.rsp"), ((one, two), ""), ((), "one.rsp")):
        with pytest.raises(InputError, match=r"its RMF .* \(KEYWORD\) is not among the uploads"):
            find(job, uploads, named)


def test_a_spectrum_may_be_its_background_and_nothing_else(job):
    assert reading._find(job, (), job.pha.name, "background", "BACKFILE") == job.pha.path
    for what in ("RMF", "ARF"):
        with pytest.raises(InputError, match="is not among the uploads"):
            reading._find(job, (), job.pha.name, what, "KEYWORD")
    other = Upload("b.pha", "/x/b")
    assert reading._find(job, (other,), job.pha.name, "background", "BACKFILE") == "/x/b"


def test_the_background_is_used_unless_it_is_left_out(job):
    assert Job(job.pha, SPEC).use_background is True
    spectrum = read_spectrum(job.pha.path)
    assert reading._background(job, spectrum) == job.background[0].path
    without = dataclasses.replace(job, use_background=False)
    assert reading._background(without, spectrum) == "none"
