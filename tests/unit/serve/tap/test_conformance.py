"""The service against independent clients and checkers: STILTS and pyvo."""

import io
import re
import shutil
import subprocess

import numpy as np
import pytest
import pyvo
import requests
from astropy.table import Table

STILTS = shutil.which("stilts")
needs_stilts = pytest.mark.skipif(STILTS is None, reason="needs stilts, of Debian")
STAGES = "TMV TME TMS TMC CPV CAP AVV QGE QPO QAS UWS MDQ OBS UPL EXA"


@needs_stilts
def test_taplint(tap):
    told = subprocess.run(
        [STILTS, "taplint", f"tapurl={tap}", "report=EWF", f"stages={STAGES}"],
        capture_output=True,
        timeout=400,
        check=False,
    ).stdout.decode(errors="replace")
    totals = re.search(r"Totals: Errors: (\d+); Warnings: (\d+); Failures: (\d+)", told)
    assert totals, told
    assert totals.groups() == ("0", "0", "0"), told


@needs_stilts
@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("SELECT * FROM source", {"MAXREC": 3}),
        ("SELECT * FROM source", {"MAXREC": 1500, "RESPONSEFORMAT": "votable"}),
        ("SELECT TOP 3 *, POINT(ra, dec) AS p FROM source", {"RESPONSEFORMAT": "votable/b2"}),
        ("SELECT TOP 3 POINT(ra, dec), COUNT(*) FROM source GROUP BY ra, dec", {}),
        ("SELECT nope FROM source", {}),
    ],
)
def test_votlint(tap, tmp_path, query, values):
    file = tmp_path / "answer.vot"
    answer = requests.get(f"{tap}/sync", {"LANG": "ADQL", "QUERY": query, **values}, timeout=30)
    file.write_bytes(answer.content)
    told = subprocess.run(
        [STILTS, "votlint", f"votable={file}"], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "ERROR" not in told.stdout + told.stderr


def test_pyvo(tap, session):
    service = pyvo.dal.TAPService(tap, session=session)
    assert service.hardlimit == 100_000
    assert "wolter.source" in service.tables
    assert service.tables["wolter.source"].columns[2].unit == "deg"
    found = service.search("SELECT TOP 5 source_id, ra FROM wolter.source ORDER BY ra")
    assert len(found) == 5
    assert found.fielddescs[1].unit.to_string() == "deg"
    job = service.submit_job("SELECT COUNT(*) AS n FROM source")
    job.run().wait(timeout=60)
    job.raise_if_error()
    assert job.fetch_result()["n"][0] == 3000
    job.delete()
    mine = Table({"source_id": np.asarray(found["source_id"]), "k": np.arange(5)})
    joined = service.search(
        "SELECT k, s.ra FROM tap_upload.mine AS m JOIN source AS s USING (source_id) ORDER BY k",
        uploads={"mine": mine},
    )
    assert list(joined["k"]) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(joined["ra"], found["ra"])
    with pytest.raises(pyvo.DALQueryError, match="nope"):
        service.search("SELECT nope FROM source")
    assert len(service.examples) >= 5
    for example in service.examples:
        service.search(example["QUERY"])


@needs_stilts
def test_stilts_asks(tap):
    told = subprocess.run(
        [STILTS, "tapquery", f"tapurl={tap}", "adql=SELECT TOP 3 ra, dec FROM source", "sync=true",
         "omode=out", "ofmt=csv"], capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert len(Table.read(io.BytesIO(told.stdout), format="ascii.csv")) == 3
