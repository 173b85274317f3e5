"""REST of the catalogue: answers, formats, and what is refused."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from tests.refusals import refused

from wolter.serve.catalogue import answers

KEY = {"x-api-key": "a key of mine"}
FIRST = 10**12


def rows(response):
    assert response.status_code == 200, response.text
    told = response.json()
    assert told["release"] == response.headers["wolter-release"]
    assert told["simulated"] is True
    assert response.headers["wolter-simulated"] == "true"
    assert told["status"] == response.headers["wolter-status"]
    return told["rows"]


def test_a_cone_is_answered_alike_in_every_format(client):
    asked = {"ra": 359.9, "dec": -5, "radius": 20, "limit": 7, "columns": "source_id,ra,kt"}
    expected = rows(client.get("/cone", params=asked))
    assert len(expected) == 7
    assert list(expected[0]) == ["source_id", "ra", "kt", "separation"]
    ids = [row["source_id"] for row in expected]
    for form in ("votable", "votable/b2"):
        answer = client.get("/cone", params=asked | {"format": form})
        table = parse(io.BytesIO(answer.content)).get_first_table()
        assert table.array["source_id"].tolist() == ids
        assert b'<INFO name="simulated" value="true"/>' in answer.content
        assert b'name="QUERY_STATUS" value="OVERFLOW"' in answer.content
    csv = client.get("/cone", params=asked, headers={"accept": "text/csv"})
    assert [int(line.split(",")[0]) for line in csv.text.splitlines()[1:]] == ids
    assert csv.headers["wolter-status"] == "OVERFLOW"
    parquet = client.get("/cone", params=asked | {"format": "parquet"})
    assert pq.read_table(io.BytesIO(parquet.content))["source_id"].to_pylist() == ids
    fits = client.get("/cone", params=asked | {"format": "fits"})
    assert fits.content.startswith(b"SIMPLE")
    for form in ("json", "votable", "csv", "fits", "parquet"):
        one, two = (client.get("/cone", params=asked | {"format": form}).content for _ in range(2))
        assert one == two


def test_a_limit_met_exactly_is_no_overflow(client):
    asked = {"ra": 10, "dec": 10, "radius": 15, "columns": "source_id"}
    n = len(rows(client.get("/cone", params=asked)))
    told = [client.get("/cone", params=asked | {"limit": k}).json()["status"] for k in (n, n - 1)]
    assert told == ["OK", "OVERFLOW"]


def test_few_large_answers_are_written_at_once(client, app, monkeypatch):
    asked = {"limit": 1000, "columns": "source_id,ra"}
    whole = client.get("/sources", params=asked)
    monkeypatch.setattr(answers, "LARGE", 2_000)
    bulk = app.state.bulk
    with bulk.enter(2_000), bulk.enter(2_000):
        refused(client.get("/sources", params=asked), 429)
        assert client.get("/sources", params=asked).headers["retry-after"] == str(answers.AGAIN_S)
        assert len(rows(client.get("/sources", params=asked | {"limit": 999}))) == 999
    assert client.get("/sources", params=asked).content == whole.content


def test_filters_by_query_and_by_body_agree(client):
    by_query = client.get(
        "/sources",
        params={
            "filter": ["kt between 0 and 1", "instrument starts XMM"],
            "order": "kt",
            "descending": True,
            "columns": "source_id,kt",
            "ra": 100,
            "dec": 0,
            "radius": 90,
            "limit": 9,
            "offset": 2,
        },
    )
    body = {
        "filters": [
            {"column": "kt", "operator": "between", "value": [0, 1]},
            {"column": "instrument", "operator": "starts", "value": "XMM"},
        ],
        "circle": {"ra": 100, "dec": 0, "radius": 90},
        "order": {"column": "kt", "descending": True},
        "columns": ["source_id", "kt"],
        "limit": 9,
        "offset": 2,
    }
    by_body = client.post("/sources", json=body)
    assert rows(by_query) == rows(by_body)
    kt = [row["kt"] for row in rows(by_body)]
    assert kt == sorted(kt, reverse=True)
    assert len(kt) == 9


def test_identifiers_names_and_one_source(client):
    told = client.get("/ids", params={"id": [FIRST + 1, 5], "columns": "name"})
    assert rows(told) == [{"name": "WLT J000001"}]
    assert told.json()["missing"] == "5"
    by_name = client.post("/ids", json={"names": ["WLT J000001"], "columns": ["source_id"]})
    assert rows(by_name) == [{"source_id": FIRST + 1}]
    whole = client.get(f"/sources/{FIRST + 1}").json()
    assert whole["source"]["name"] == "WLT J000001"
    assert whole["shapes"]["rows"][0]["detection_id"] == FIRST + 2
    assert whole["detection"]["status"] == "OK"
    assert whole["simulated"] is True
    assert "no source 5" in refused(client.get("/sources/5"), 404)
    assert rows(client.get("/ids")) == []
    both = client.get("/ids", params={"id": FIRST, "name": ["WLT J000007", "x"], "columns": "name"})
    assert [row["name"] for row in rows(both)] == ["WLT J000000", "WLT J000007"]
    assert both.json()["missing"] == "x"


def test_similar_sources_and_anomalies(client):
    near = rows(client.get(f"/similar/{FIRST}", params={"columns": "source_id", "limit": 4}))
    assert len(near) == 4
    whole = client.get(f"/sources/{FIRST}").json()["shapes"]["rows"][0]
    latent = [whole[f"latent_{i}"] for i in range(8)]
    body = {"latent": latent, "columns": ["source_id"], "limit": 5}
    again = rows(client.post("/similar", json=body))
    assert again[0] == {"source_id": FIRST, "distance": 0}
    assert again[1:] == near
    refused(client.get("/similar/5"), 404)
    odd = rows(client.get("/anomalies", params={"columns": "anomaly", "limit": 20}))
    values = [row["anomaly"] for row in odd]
    assert values == sorted(values, reverse=True)
    assert "no column 'nope'" in refused(client.get("/anomalies", params={"by": "nope"}), 404)


VOTABLE = """<VOTABLE><!-- a comment --><RESOURCE><TABLE>
<FIELD name="target" datatype="char" arraysize="*" ucd="meta.id;meta.main"/>
<FIELD name="RAJ2000" datatype="double" ucd="pos.eq.ra;meta.main"/>
<FIELD name="DEJ2000" datatype="double" ucd="pos.eq.dec;meta.main"/>
<DATA><TABLEDATA><TR><TD>a</TD><TD>10</TD><TD>20</TD></TR>
<TR><TD>b</TD><TD>0</TD><TD>-90</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""


def test_positions_are_read_from_json_csv_and_votable(client):
    places = [{"id": "a", "ra": 10, "dec": 20}, {"id": "b", "ra": 0, "dec": -90}]
    asked = {"radius": 5, "columns": "source_id"}
    told = [
        client.post("/positions", params=asked, json={"positions": places}),
        client.post(
            "/positions",
            params=asked,
            content="\ufeffid,RA,dec,other\na,10,20,x\nb,0,-90,\n",
            headers={"content-type": "text/csv; charset=utf-8"},
        ),
        client.post(
            "/positions",
            params=asked,
            content=VOTABLE,
            headers={"content-type": "application/x-votable+xml"},
        ),
    ]
    assert rows(told[0]) == rows(told[1]) == rows(told[2])
    assert {row["position_id"] for row in rows(told[0])} == {"a", "b"}
    assert told[0].json()["positions"] == "2"
    cone = rows(client.get("/cone", params=asked | {"ra": 10, "dec": 20}))
    mine = [row for row in rows(told[0]) if row.pop("position_id") == "a"]
    assert mine == cone


def places(n):
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, n).tolist(), rng.uniform(-90, 90, n).tolist()
    return [{"ra": a, "dec": d} for a, d in zip(ra, dec, strict=True)]


def test_ten_thousand_positions_are_answered_and_one_more_refused(client):
    told = client.post("/positions?radius=0.5", json={"positions": places(10_000)})
    assert len(rows(told)) > 100
    line = refused(client.post("/positions", json={"positions": places(10_001)}), 413)
    assert "at most 10000" in line


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><VOTABLE>&b;</VOTABLE>'
TYPED = '<!DOCTYPE x [<!ENTITY a "10">]>'
XML, CSV, JSON = ({"content-type": c} for c in ("text/xml", "text/csv", "application/json"))


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (BOMB, XML, 422),
        (VOTABLE.replace("<!-- a comment -->", "<!"), XML, 422),
        *((f"{TYPED}{VOTABLE}".encode(code), XML, 422) for code in ("utf-8", "utf-16")),
        (VOTABLE.replace("TABLEDATA", "BINARY2"), XML, 422),
        (VOTABLE.replace("<TD>10</TD>", ""), XML, 422),
        (VOTABLE.replace("<TD>10</TD>", "<TD/>"), XML, 422),
        ("<VOTABLE/>", XML, 422),
        ("", XML, 422),
        ("id,ra,dec\na,1", CSV, 422),
        ("ra\n1", CSV, 422),
        ("ra,dec,ra\n1,2,3", CSV, 422),
        ("ra,dec\nnan,1", CSV, 422),
        ("ra,dec\n1,inf", CSV, 422),
        ("ra,dec\n1,90.001", CSV, 422),
        (b"ra,dec\n\xff,1", CSV, 422),
        ('ra,dec\n"1,2', CSV, 422),
        ("ra,dec\n", CSV, 422),
        ("", CSV, 422),
        ("{", JSON, 422),
        ("[" * 100_000, JSON, 422),
        ("[]", JSON, 422),
        ('{"positions": []}', JSON, 422),
        ('{"positions": [{"ra": NaN, "dec": 0}]}', JSON, 422),
        ('{"positions": [{"ra": 1e999, "dec": 0}]}', JSON, 422),
        ('{"positions": [{"ra": true, "dec": 0}]}', JSON, 422),
        ('{"positions": [{"ra": [1], "dec": 0}]}', JSON, 422),
        ('{"positions": [{"ra": 1, "dec": 0, "x": 1}]}', JSON, 422),
        ('{"positions": [{"ra": 1, "dec": 0, "id": "a\\u0000"}]}', JSON, 422),
        ('{"positions": [{"ra": 1, "dec": 0, "id": {}}]}', JSON, 422),
        ('{"positions": [{"ra": 1, "dec": 0}], "radius": 1}', JSON, 422),
        ("x" * (9 * 2**20), CSV, 413),
        ("ra,dec\n1,2", {"content-type": "text/plain"}, 415),
        ("ra,dec\n1,2", {}, 415),
    ],
)
def test_what_is_no_list_of_positions_is_refused(client, content, headers, status):
    refused(client.post("/positions", content=content, headers=headers), status)
    refused(client.put("/watchlists/x", content=content, headers=headers | KEY), status)


@pytest.mark.parametrize(
    ("status", "path", "params"),
    [
        (422, "/cone", {"ra": "nan", "dec": 0, "radius": 1}),
        (422, "/cone", {"ra": 0, "dec": "inf", "radius": 1}),
        (422, "/cone", {"ra": 360.5, "dec": 0, "radius": 1}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": -1}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": 181}),
        (422, "/cone", {"ra": 0, "dec": 0}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": 1, "raduis": 2}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": 1, "limit": 100_001}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": 1, "limit": 0}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": 1, "format": "xlsx"}),
        (404, "/cone", {"ra": 0, "dec": 0, "radius": 1, "columns": "ra,nope"}),
        (404, "/cone", {"ra": 0, "dec": 0, "radius": 1, "release": "R9"}),
        (422, "/cone", {"ra": 0, "dec": 0, "radius": 1, "release": "../R1"}),
        (422, "/sources", {"filter": "kt > nan"}),
        (409, "/sources", {"filter": ["kt > 2", "kt < 1"]}),
        (409, "/sources", {"filter": "kt between 2 and 1"}),
        (404, "/sources", {"filter": "1=1; DROP TABLE source"}),
        (422, "/sources", {"filter": ["kt > 1"] * 21}),
        (422, "/sources", {"order": "ra; DROP TABLE source"}),
        (409, "/sources", {"ra": 1}),
        (422, "/sources/9999999999999999999999", {}),
        (422, "/similar/1.5", {}),
        (422, "/positions", {"radius": 18}),
        (422, "/anomalies", {"limit": "x"}),
    ],
)
def test_bad_questions_are_refused_with_one_line(client, status, path, params):
    if path == "/positions":
        refused(client.post(path, params=params, json={"positions": places(1)}), status)
    else:
        refused(client.get(path, params=params), status)


def test_bad_bodies_are_refused_with_one_line(client):
    for body in (
        {"filters": [{"column": "kt", "operator": "<", "value": None}]},
        {"filters": [{"column": "kt", "operator": "<", "value": {}}]},
        {"filters": [{"column": "kt", "operator": "or 1=1", "value": 1}]},
        {"filters": [{"column": "kt", "operator": "in", "value": [1] * 10_001}]},
        {"circle": {"ra": 1, "dec": 91, "radius": 1}},
        {"unknown": 1},
        [],
    ):
        refused(client.post("/sources", json=body), 422)
    refused(client.post("/sources", content='{"limit": NaN}', headers=JSON), 422)
    refused(client.post("/ids", json={"ids": [1] * 10_001}), 422)
    refused(client.post("/similar", json={"latent": [1.0]}), 409)
    refused(client.post("/similar", content='{"latent": [NaN]}', headers=JSON), 422)
    refused(client.post("/similar", json={"latent": [1e300] * 8}), 422)


def test_releases_are_told_and_asked_by_name(client):
    told = {each["release"]: each for each in client.get("/releases").json()}
    assert told["R1"]["current"]
    assert not told["R0"]["current"]
    schema = client.get("/schema", params={"release": "R0"}).json()
    assert schema["tables"][0]["columns"][2]["unit"] == "deg"
    assert schema["rows"]["source"] == 20
    asked = {"ra": 0, "dec": 0, "radius": 180, "release": "R0", "columns": "release"}
    assert rows(client.get("/cone", params=asked))[0]["release"] == "R0"
    refused(client.get("/schema", params={"release": "R9"}), 404)


def test_files_are_listed_and_sent_in_parts(client, root):
    listed = client.get("/releases/R1/files").json()["files"]
    told = {each["path"]: each for each in listed}
    whole = (root / "R1" / "latents.npy").read_bytes()
    assert told["latents.npy"]["bytes"] == len(whole)
    path = "/releases/R1/files/latents.npy"
    assert client.get(path).content == whole
    part = client.get(path, headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]
    assert client.head(path).headers["content-length"] == str(len(whole))
    for bad in ("SHA256", "../CURRENT", "%2e%2e/CURRENT", "/etc/hostname", ""):
        refused(client.get(f"/releases/R1/files/{bad}"), 404)
    refused(client.get("/releases/R9/files"), 404)
    refused(client.get("/releases/R9/files/latents.npy"), 404)


def test_a_watchlist_is_kept_by_key_and_answered_by_each_release(client, app):
    place = {"positions": [{"id": "mine", "ra": 10, "dec": 20}]}
    kept = client.put("/watchlists/my list?radius=17", json=place, headers=KEY)
    assert kept.json()["positions"] == 1
    matches = rows(client.get("/watchlists/my list/matches", headers=KEY))
    assert {row["position_id"] for row in matches} == {"mine"}
    assert rows(client.get("/watchlists/my list/matches", headers=KEY)) == matches
    older = client.get("/watchlists/my list/matches", params={"release": "R0"}, headers=KEY)
    assert older.headers["wolter-release"] == "R0"
    (told,) = client.get("/watchlists", headers=KEY).json()
    assert told["answered"] == ["R1", "R0"]
    bearer = {"authorization": f"Bearer {KEY['x-api-key']}"}
    assert client.get("/watchlists", headers=bearer).json() == [told]
    other = {"x-api-key": "another key"}
    assert client.get("/watchlists", headers=other).json() == []
    refused(client.get("/watchlists/my list", headers=other), 404)
    refused(client.get("/watchlists"), 401)
    assert client.delete("/watchlists/my list", headers=KEY).status_code == 204
    refused(client.delete("/watchlists/my list", headers=KEY), 404)
    for i in range(20):
        assert client.put(f"/watchlists/{i}", json=place, headers=KEY).status_code == 200
    assert "delete one" in refused(client.put("/watchlists/more", json=place, headers=KEY), 409)
    assert client.put("/watchlists/3", json=place, headers=KEY).status_code == 200
    for i in range(20):
        client.delete(f"/watchlists/{i}", headers=KEY)
    assert client.get("/watchlists", headers=KEY).json() == []


def test_the_document_of_the_interface_names_its_formats(client):
    document = client.get("/openapi.json").json()
    content = document["paths"]["/cone"]["get"]["responses"]["200"]["content"]
    assert "application/x-votable+xml" in content
    assert "http" not in json.dumps(list(document["paths"]))
