"""Queries answered at once over HTTP."""

import asyncio
import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest
import requests
from astropy.io import fits, votable
from tests.unit.catalogue.adql.test_refused import HOSTILE, STILL_ANSWERED

from wolter.catalogue.adql.jobs import Limits
from wolter.catalogue.release import CURRENT
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.errors import BusyError
from wolter.serve.tap.sync import Sync


def get(url, query, **more):
    values = {"LANG": "ADQL", "QUERY": query, **more}
    return requests.get(f"{url}/sync", params=values, timeout=60)


def post(url, query, files=None, **more):
    values = {"lang": "ADQL", "query": query, **more}
    return requests.post(f"{url}/sync", data=values, files=files, timeout=60)


def status(answer):
    """Every INFO QUERY_STATUS of a VOTable, in order."""
    infos = votable.parse(io.BytesIO(answer.content)).resources[0].infos
    return [(each.value, each.content) for each in infos if each.name == "QUERY_STATUS"]


def table(answer):
    assert answer.status_code == 200, answer.text
    return votable.parse_single_table(io.BytesIO(answer.content))


def test_columns_say_what_they_are(tap):
    found = table(get(tap, "SELECT TOP 3 ra AS x, name, POINT(ra, dec) AS p FROM source"))
    x, name, p = found.fields
    assert (x.name, x.unit, x.ucd, x.datatype) == ("x", "deg", "pos.eq.ra;meta.main", "double")
    assert (name.datatype, name.arraysize) == ("unicodeChar", "*")
    assert (p.datatype, p.xtype) == ("double", "point")
    assert len(found.array) == 3
    assert found.array["p"][0][0] == found.array["x"][0]


@pytest.mark.parametrize(
    "form", ["votable", "votable/td", "votable/b2", "csv", "json", "fits", "parquet"]
)
def test_formats_hold_the_same_and_tell_overflow_exactly(tap, form):
    query = "SELECT source_id, ra FROM source WHERE ra < 180"
    whole = get(tap, query, RESPONSEFORMAT=form, MAXREC=5000)
    n = int(whole.headers["x-rows"])
    for most, overflow in ((n - 1, True), (n, False), (n + 1, False)):
        part = get(tap, query, RESPONSEFORMAT=form, MAXREC=most)
        assert rows_of(part, form) == rows_of(whole, form)[:most]
        assert part.headers["x-query-status"] == ("OVERFLOW" if overflow else "OK")
        if form.startswith("votable"):
            assert [value for value, _ in status(part)] == ["OK"] + ["OVERFLOW"] * overflow
        if form == "json":
            assert part.json()["status"] == ("OVERFLOW" if overflow else "OK")


def rows_of(answer, form):
    content = answer.content
    if form == "csv":
        return [(int(a), float(b)) for a, b in list(csv.reader(io.StringIO(answer.text)))[1:]]
    if form == "json":
        return [tuple(row.values()) for row in json.loads(content)["rows"]]
    if form == "parquet":
        return [tuple(row.values()) for row in pq.read_table(io.BytesIO(content)).to_pylist()]
    if form == "fits":
        with fits.open(io.BytesIO(content)) as hdus:
            return [tuple(row) for row in hdus[1].data.tolist()]
    return [tuple(row) for row in table(answer).array.tolist()]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT source_id FROM source",
        "SELECT instrument, FLOOR(ra), COUNT(*) FROM source GROUP BY instrument, FLOOR(ra)",
        "SELECT DISTINCT FLOOR(dec) FROM source",
        "SELECT s.source_id, d.detection_id FROM source AS s JOIN detection AS d USING (source_id)",
        "SELECT FLOOR(ra) AS n FROM source UNION SELECT FLOOR(dec) FROM source",
    ],
)
def test_the_same_query_gives_the_same_bytes(tap, query):
    one, other = (get(tap, query, MAXREC=50).content for _ in range(2))
    assert one == other


def test_no_rows_tell_the_columns(tap):
    found = get(tap, "SELECT ra, name FROM source", MAXREC=0)
    assert len(table(found).array) == 0
    assert [value for value, _ in status(found)] == ["OK", "OVERFLOW"]
    assert table(get(tap, "SELECT ra FROM source WHERE ra < 0")).fields[0].unit == "deg"


@pytest.mark.parametrize("adql", [*STILL_ANSWERED, *HOSTILE[-14:]], ids=lambda adql: adql[:40])
def test_hostile_queries_are_refused(tap, adql):
    answer = post(tap, adql)
    assert answer.status_code in (400, 413)
    said, line = status(answer)[0]
    assert said == "ERROR"
    assert line
    assert "\n" not in line.strip()
    assert requests.get(f"{tap}/availability", timeout=30).status_code == 200


DAY = "CAST('2026-01-01' AS TIMESTAMP)"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"QUERY": ""}, "no QUERY"),
        ({"LANG": "SQL"}, "LANG='SQL'"),
        ({"MAXREC": "-1"}, "MAXREC"),
        ({"MAXREC": "many"}, "MAXREC"),
        ({"RESPONSEFORMAT": "doc"}, "format 'doc'"),
        ({"REQUEST": "getCapabilities"}, "REQUEST"),
        ({"UPLOAD": "t,http://example.org/t.vot"}, "elsewhere"),
        ({"UPLOAD": "t,file:///etc/passwd"}, "elsewhere"),
        ({"UPLOAD": "t,param:none"}, "no field"),
        ({"UPLOAD": "bad name,param:x"}, "UPLOAD"),
        ({"QUERY": "SELECT nope FROM source"}, "nope"),
        ({"QUERY": "SELECT CAST('x' AS INTEGER) FROM source"}, "convert"),
        ({"QUERY": "SELECT s FROM source AS s"}, "column 's': its values are neither"),
        ({"QUERY": f"SELECT {'9' * 42} AS n FROM source"}, "column 'n': its values are neither"),
        ({"QUERY": f"SELECT {DAY} - {DAY} AS d FROM source"}, "column 'd': its values are neither"),
        ({"QUERY": "SELECT AREA(POLYGON(1e999, 0, 1, 1, 2, 2)) FROM source"}, "too large"),
    ],
)
def test_bad_requests_say_why(tap, values, line):
    answer = get(tap, **{"query": "SELECT TOP 1 ra FROM source"} | _lower(values))
    assert answer.status_code == 400
    assert line in status(answer)[0][1]
    assert "/" + "tmp" not in answer.text


def _lower(values):
    return {("query" if name == "QUERY" else name): value for name, value in values.items()}


def test_any_name_of_a_column_is_taken_by_fits(tap):
    answer = get(tap, f"SELECT TOP 1 {DAY}, 'a:b' AS \"x:\ny\" FROM source", RESPONSEFORMAT="fits")
    assert answer.status_code == 200
    with fits.open(io.BytesIO(answer.content)) as file:
        assert file[1].columns.names[1] == "x__y"
        assert list(file[1].data[0]) == ["2026-01-01T00:00:00.000000", "a:b"]


def test_dear_queries_are_sent_to_jobs(tap):
    answer = get(tap, "SELECT COUNT(*) FROM source AS a, source AS b, source AS c")
    assert answer.status_code == 400
    assert "/async" in status(answer)[0][1]


UPLOAD = """<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE><TABLE>{0}<FIELD name="n" datatype="int"/><FIELD name="RA (deg)" datatype="double"
 unit="deg"/><FIELD name="label" datatype="char" arraysize="*"/>
<DATA><TABLEDATA>{1}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""


def upload(tap, document, query='SELECT n, "RA (deg)" AS x, label FROM tap_upload.mine'):
    return post(tap, query, files={"f": document.encode()}, upload="mine,param:f")


def test_uploads_are_joined_and_come_back_as_they_were(tap):
    rows = "<TR><TD>1</TD><TD>2.5</TD><TD>a</TD></TR><TR><TD/><TD/><TD>b</TD></TR>"
    found = table(upload(tap, UPLOAD.format("", rows)))
    assert [f.datatype for f in found.fields] == ["int", "double", "char"]
    assert found.fields[1].unit == "deg"
    assert found.array["n"].mask.tolist() == [False, True]
    assert list(found.array["label"]) == ["a", "b"]
    joined = "SELECT COUNT(*) AS n FROM tap_upload.mine AS m JOIN source AS s ON s.source_id > m.n"
    assert table(upload(tap, UPLOAD.format("", rows), joined)).array["n"][0] == 3000


@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b2", "csv", "fits", "json"])
def test_uploaded_points_and_words_of_any_script_come_back(tap, form):
    field = '<FIELD name="p" datatype="double" arraysize="2" xtype="point" unit="µm" ucd="é"/>'
    more = '<FIELD name="λ" datatype="char" arraysize="*" xtype="circle"/>'
    cells = "".join(f"<TD>{cell}</TD>" for cell in ("1 2", "1 2 3", "1", "1", "1"))
    document = UPLOAD.format(f"{field}{more}", f"<TR>{cells}</TR>")
    query = 'SELECT p, "λ", "λ" AS "µ" FROM tap_upload.mine'
    files = {"f": document.encode()}
    answer = post(tap, query, files=files, upload="mine,param:f", RESPONSEFORMAT=form)
    assert answer.status_code == 200, answer.text
    if form.startswith("votable"):
        found = table(answer)
        assert [(f.name, f.datatype, f.xtype) for f in found.fields] == [
            ("p", "unicodeChar", None), ("λ", "char", "circle"), ("µ", "char", "circle")
        ]  # fmt: skip
        assert list(found.array[0]) == ["1.0 2.0", "1 2 3", "1 2 3"]
    if form == "fits":
        with fits.open(io.BytesIO(answer.content)) as file:
            assert file[1].columns.names == ["p", "_", "__2"]
            assert list(file[1].data[0]) == ["1.0 2.0", "1 2 3", "1 2 3"]


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ("", "not XML"),
        ("hello", "not XML"),
        ("<VOTABLE/>", "no table"),
        (UPLOAD.format("", "<TR><TD>1</TD></TR>" * 2001), "more than 2000 rows"),
        (UPLOAD.format("<FIELD name='a' datatype='int'/>" * 501, ""), "more than 500 columns"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + UPLOAD[21:].format("", "&a;"), "entities"),
        ("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>", "entities"),
        ("<VOTABLE>" + "<RESOURCE>" * 60, "nested"),
        ("<VOTABLE><RESOURCE><TABLE><FIELD name='a' datatype='int'/><DATA><BINARY2><STREAM"
         " href='http://localhost/x'/></BINARY2></DATA></TABLE></RESOURCE></VOTABLE>", "elsewhere"),
        ("<VOTABLE><RESOURCE><TABLE><FIELD name='a' datatype='int'/><DATA><BINARY2><STREAM"
         " encoding='gzip'>x</STREAM></BINARY2></DATA></TABLE></RESOURCE></VOTABLE>", "base64"),
        (UPLOAD.format("", "<TR><TD>not a number</TD></TR>"), "cannot be read|can be read"),
    ],
)  # fmt: skip
def test_hostile_uploads_are_refused(tap, document, line):
    import re

    answer = upload(tap, document)
    assert answer.status_code == 400
    assert re.search(line, status(answer)[0][1])


def test_too_large_requests_are_refused(tap):
    answer = upload(tap, "x" * (5 * 2**20))
    assert answer.status_code == 413


def test_phases_and_availability_do_not_wait_for_queries(tap):
    dear = (
        "SELECT SUM(SIN(a.ra) * COS(b.dec)) FROM source AS a JOIN source AS b ON a.ra < b.dec + 400"
    )
    with ThreadPoolExecutor(20) as threads:
        answers = [threads.submit(get, tap, dear) for _ in range(20)]
        assert requests.get(f"{tap}/availability", timeout=30).status_code == 200
        assert not all(each.done() for each in answers)
        codes = {each.result().status_code for each in answers}
    assert codes <= {200, 400, 429}
    assert 429 in codes


def test_no_query_waits_longer_than_it_may_run(tmp_path):
    config = TapConfig(sync=Limits(seconds=0.05), at_once=1)
    sync = Sync(None, config, tmp_path, None)

    async def ask():
        async with sync._admitted():
            with pytest.raises(BusyError, match="take long"):
                async with sync._admitted():
                    pass
        async with sync._admitted():  # the place is free again
            return sync._here

    assert asyncio.run(ask()) == 1
    assert sync._here == 0


def test_without_a_release(tmp_path):
    from tests.unit.serve.tap.conftest import serving

    (tmp_path / "releases").mkdir()
    with serving(tmp_path / "releases", tmp_path / "jobs") as url:
        answer = get(url, "SELECT ra FROM source")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert b"false" in requests.get(f"{url}/availability", timeout=30).content
    assert not (tmp_path / "releases" / CURRENT).exists()
