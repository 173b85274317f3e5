"""Simple Cone Search 1.03, asked by itself, pyvo and STILTS."""

import io
import shutil
import subprocess

import pytest
import pyvo
from astropy.io.votable import parse

needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")


def ask(client, **params):
    response = client.get("/", params=params)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-votable+xml"
    return parse(io.BytesIO(response.content))


def test_a_cone_has_the_ucds_of_the_standard(cone_client):
    table = ask(cone_client, RA=10, DEC=20, SR=10).get_first_table()
    fields = {field.ucd: field for field in table.fields}
    assert fields["ID_MAIN"].datatype == "unicodeChar"
    assert fields["POS_EQ_RA_MAIN"].datatype == fields["POS_EQ_DEC_MAIN"].datatype == "double"
    ucds = [field.ucd for field in table.fields]
    assert ucds.count("ID_MAIN") == ucds.count("POS_EQ_RA_MAIN") == 1
    assert "meta.id;meta.main" not in ucds
    assert (table.array["separation"] <= 10).all()
    assert len(table.array)


def test_verb_chooses_columns_and_names_have_any_case(cone_client):
    few = ask(cone_client, ra=10, Dec=20, sr=5, verb=1).get_first_table()
    many = ask(cone_client, RA=10, DEC=20, SR=5, VERB=3).get_first_table()
    assert {"name", "ra", "dec", "source_id"} <= {field.name for field in few.fields}
    assert len(few.fields) < len(many.fields)
    assert len(few.array) == len(many.array)


def test_a_radius_or_maxrec_of_zero_asks_for_the_columns_alone(cone_client):
    for params in ({"SR": 0}, {"SR": 180, "MAXREC": 0}):
        document = ask(cone_client, RA=10, DEC=20, **params)
        table = document.get_first_table()
        assert len(table.array) == 0
        assert table.fields
        assert [i.value for i in document.resources[0].infos if i.name == "QUERY_STATUS"] == ["OK"]


def test_maxrec_truncates_and_says_so(cone_client):
    response = cone_client.get("/", params={"RA": 0, "DEC": 90, "SR": 90, "MAXREC": 5})
    assert b'</TABLE>\n<INFO name="QUERY_STATUS" value="OVERFLOW"/>' in response.content
    assert len(parse(io.BytesIO(response.content)).get_first_table().array) == 5
    csv = cone_client.get("/", params={"RA": 0, "DEC": 90, "SR": 1, "RESPONSEFORMAT": "csv"})
    assert csv.text.startswith('"source_id"')


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({}, "RA: missing"),
        ({"RA": 1, "DEC": 2}, "SR: missing"),
        ({"RA": "x", "DEC": 2, "SR": 1}, "RA: 'x' is no number"),
        ({"RA": "nan", "DEC": 2, "SR": 1}, "RA: 'nan'"),
        ({"RA": "1e999", "DEC": 2, "SR": 1}, "RA: '1e999'"),
        ({"RA": 361, "DEC": 2, "SR": 1}, "ra: 361"),
        ({"RA": 1, "DEC": -91, "SR": 1}, "dec: -91"),
        ({"RA": 1, "DEC": 2, "SR": -1}, "radius: -1"),
        ({"RA": 1, "DEC": 2, "SR": 1, "VERB": 4}, "VERB: '4'"),
        ({"RA": 1, "DEC": 2, "SR": 1, "MAXREC": -1}, "MAXREC: '-1'"),
        ({"RA": 1, "DEC": 2, "SR": 1, "MAXREC": "9" * 5_000}, "MAXREC: "),
        ({"RA": 1, "DEC": 2, "SR": 1, "RESPONSEFORMAT": "<xls>"}, "format '<xls>'"),
        ({"RA": [1, 2], "DEC": 2, "SR": 1}, "RA: given twice"),
        ({"RA": 1, "DEC": 2, "SR": 1, "RELEASE": "R9"}, "no release 'R9'"),
    ],
)
def test_errors_are_votables(cone_client, params, line):
    (resource,) = ask(cone_client, **params).resources
    (told,) = [info for info in resource.infos if info.name == "Error"]
    assert told.ID == "Error"
    assert line in told.value
    assert "\n" not in told.value


def test_pyvo_finds_the_nearest_source(url, session):
    service = pyvo.dal.SCSService(f"{url}/scs", session=session)
    found = service.search(pos=(200.0, 30.0), radius=10.0, verbosity=2)
    assert len(found)
    assert abs(found[0].pos.ra.deg - 200) < 20
    assert found[0].id
    with pytest.raises(pyvo.dal.DALQueryError, match="dec: 95"):
        service.search(pos=(200.0, 30.0), radius=10.0, dec=95)


def stilts(*words):
    done = subprocess.run(["stilts", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_stilts
def test_stilts_asks_one_cone_and_many(url, tmp_path):
    one = stilts("cone", f"serviceurl={url}/scs", "lon=120", "lat=30", "radius=8", "ofmt=csv")
    assert len(one.splitlines()) > 1
    (tmp_path / "places.csv").write_text("id,ra,dec\na,120,30\nb,0,-89\n")
    many = stilts(
        "coneskymatch", f"in={tmp_path / 'places.csv'}", "ifmt=csv", f"serviceurl={url}/scs",
        "ra=ra", "dec=dec", "sr=8", "find=all", "ofmt=csv",
    )  # fmt: skip
    firsts = {line.split(",")[0] for line in many.splitlines()[1:]}
    assert firsts == {"a", "b"}


@needs_stilts
def test_votlint_finds_no_fault(cone_client, tmp_path):
    questions = (
        {"RA": 0, "DEC": 0}, {"RA": 0, "DEC": 0, "SR": 180, "MAXREC": 2000},
    )  # fmt: skip
    for i, params in enumerate(questions):
        (tmp_path / f"{i}.vot").write_bytes(cone_client.get("/", params=params).content)
        assert stilts("votlint", f"votable={tmp_path / f'{i}.vot'}") == ""
