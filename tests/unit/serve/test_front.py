"""What stands before applications: keys and budgets, metrics, access log, CORS."""

import json

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from wolter.errors import InputError
from wolter.serve import asked, budgets, keys
from wolter.serve.budgets import Budgets, Tills
from wolter.serve.front import Front, FrontConfig
from wolter.serve.keys import Holder
from wolter.serve.limits import BusyError
from wolter.serve.problems import add_handlers


def client_of(prefix="/v1/x", at="", **config):
    app = FastAPI()
    add_handlers(app)

    @app.get(f"{at}/y/{{name}}")
    async def answer(request: Request, name: str, dear: bool = False, busy: bool = False):
        known = asked.of(request.scope)
        known.model = ("net", "3")
        if dear:
            known.charge(20)
        if busy:
            raise BusyError("many wait", 3)
        return {"name": name, "holder": known.holder}

    front = Front(app, "x", prefix, FrontConfig(**config))
    return front, TestClient(front, root_path=prefix if prefix != "/" else "")


@pytest.mark.parametrize("at", ["", "/v1/x"])
def test_routes_begin_with_the_prefix_or_go_on_after_it(at):
    _, client = client_of(at=at)
    path = "/v1/x/y/a" if at else "/y/a"
    assert client.get(path).json()["name"] == "a"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "serve" / "keys.db"


def test_keys_are_kept_as_hashes_and_revoked(database, monkeypatch):
    monkeypatch.setattr(budgets, "KNOWN_S", -1.0)
    key = keys.add(database, "an observer", 30)
    assert key.encode() not in database.read_bytes()
    assert database.stat().st_mode & 0o777 == 0o600
    (holder,) = keys.listed(database)
    assert (holder.name, holder.per_minute, holder.revoked) == ("an observer", 30, False)
    settings = Budgets(str(database), keys_only=True)
    _, client = client_of(budgets=settings, at="/v1/x")
    for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}):
        answer = client.get("/v1/x/y/a", headers=headers)
        assert answer.json()["holder"] == holder.id
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic abc"}):
        answer = client.get("/v1/x/y/a", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "\n" not in answer.json()["detail"]
    keys.revoke(database, holder.id)
    assert client.get("/v1/x/y/a", headers={"x-api-key": key}).status_code == 401
    assert keys.listed(database)[0].revoked


@pytest.mark.parametrize(("name", "most"), [("", 1), ("a\nb", 1), ("a", -1), ("a", float("nan"))])
def test_keys_without_sense_are_refused(database, name, most):
    with pytest.raises(InputError, match=r"^key: "):
        keys.add(database, name, most)
    with pytest.raises(InputError, match=r"there is none; see `wolter keys list`$"):
        keys.revoke(database, "a")


def test_what_is_cheap_is_asked_often_and_what_is_dear_is_not(monkeypatch):
    now = 100.0
    monkeypatch.setattr(budgets.time, "time", lambda: now)
    settings = Budgets(anonymous=60)

    def asked_of(price, **params):
        _, client = client_of(budgets=settings, price=price, at="/v1/x")
        return client, [client.get("/v1/x/y/a", params=params) for _ in range(100)]

    _, cheap = asked_of(0.02)
    assert {each.status_code for each in cheap} == {200}
    client, plain = asked_of(1.0)
    assert [each.status_code for each in plain].count(200) == 60
    assert plain[-1].headers["retry-after"] == "1"
    now += 3
    again = [client.get("/v1/x/y/a").status_code for _ in range(4)]
    assert again == [200, 200, 200, 429]
    _, dear = asked_of(1.0, dear=True)
    assert [each.status_code for each in dear].count(200) == 2
    assert int(dear[2].headers["retry-after"]) > 1


def test_what_is_refused_costs_what_a_cheap_request_does(monkeypatch):
    monkeypatch.setattr(budgets.time, "time", lambda: 100.0)
    _, client = client_of(budgets=Budgets(anonymous=60), at="/v1/x")
    dear = {"dear": True}
    refused = [client.get("/v1/x/y/a", params=dear | {"busy": True}) for _ in range(18)]
    assert {each.status_code for each in refused} == {429}
    assert {each.headers["retry-after"] for each in refused} == {"3"}
    assert [client.get("/v1/x/y/a", params=dear).status_code for _ in range(3)] == [200, 200, 429]


def test_a_job_costs_20_units_for_each_million_elements_but_the_first():
    piece = 2**20
    sizes = (1, piece, piece + 1, 2 * piece, 2048 * 2048)
    assert [budgets.of_job(size) for size in sizes] == [0, 0, 20, 20, 60]


def test_what_costs_more_than_a_minute_gives_is_answered_after_the_time_that_is_told(monkeypatch):
    """In parts, as its price is known only once it is read."""
    now = 100.0
    monkeypatch.setattr(budgets.time, "time", lambda: now)
    tills, holder = Tills(Budgets()), Holder("one", per_minute=50)

    def pay():
        known = asked.Asked(take=lambda units, paid: tills.charge(holder, units, paid))
        for units in (1, 20, 60):
            known.charge(units)

    pay()
    now += 30  # 25 units, of which a request takes 21 before its size is known
    with pytest.raises(BusyError, match=r"50 units a minute are spent, .* costs 50;") as caught:
        pay()
    assert caught.value.again_s == 56  # of 4 units that are left to 50
    now += caught.value.again_s
    pay()


def test_processes_count_a_client_together_and_give_back_evenly(database, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(budgets.time, "time", lambda: now)
    holder = Holder("a", per_minute=60)
    one, other = Tills(Budgets(str(database))), Tills(Budgets(str(database)))
    one.charge(holder, 40)
    other.charge(holder, 20)
    other.charge(Holder("b", per_minute=60), 60)
    assert database.with_name("tills.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BusyError, match=r"costs 10; try again in 10 s") as refused:
        one.charge(holder, 10)
    assert refused.value.again_s == 10
    now += 9
    with pytest.raises(BusyError, match="try again in 1 s"):
        other.charge(holder, 10)
    now += 1
    one.charge(holder, 10)
    now += 1000  # not more than a minute's
    other.charge(holder, 60)
    with pytest.raises(BusyError):
        one.charge(holder, 1)
    now -= 500  # a clock that was set back gives nothing
    with pytest.raises(BusyError):
        one.charge(holder, 1)
    later = Tills(Budgets(str(database)))
    with pytest.raises(BusyError):
        later.charge(holder, 1)
    for each in (one, other, later):
        each.close()


def test_a_client_without_a_limit_costs_no_file(database):
    tills = Tills(Budgets(str(database)))
    tills.charge(Holder("a"), 1e9)
    assert not database.parent.exists()
    tills.close()


def test_requests_are_counted_by_template_model_and_version(tmp_path):
    log = tmp_path / "logs" / "access.log"
    front, client = client_of(at="/v1/x", access_log=str(log))
    for name in ("a", "b"):
        client.get(f"/v1/x/y/{name}", headers={"x-request-id": "7"})
    client.get("/v1/x/none")
    text = front.meters.text()
    counted = [line for line in text.splitlines() if line.startswith("wolter_requests_total")]
    assert len(counted) == 2
    front.close()
    (answered,) = (line for line in counted if 'model="net"' in line)
    assert 'route="/v1/x/y/{name}",status="200",version="3"' in answered
    assert answered.endswith(" 2.0")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["path"] for line in lines] == ["/v1/x/y/a", "/v1/x/y/b", "/v1/x/none"]
    assert [line["status"] for line in lines] == [200, 200, 404]
    assert (lines[0]["id"], lines[0]["model"]) == ("7", "net@3")


def test_pages_of_other_origins_may_ask(database):
    settings = Budgets(str(database), keys_only=True)
    _, client = client_of(at="/v1/x", cors=("*",), budgets=settings)
    asks = {"origin": "https://a.b", "access-control-request-method": "POST"}
    before = client.options(
        "/v1/x/y/a", headers={**asks, "access-control-request-headers": "x-api-key"}
    )
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == "*"
    kept = client.options("/v1/x/y/a", headers={**asks, "access-control-request-method": "PUT"})
    assert kept.status_code == 200  # a watchlist
    refused = client.get("/v1/x/y/a", headers={"origin": "https://a.b"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
    _, closed = client_of(at="/v1/x")
    assert "access-control-allow-origin" not in closed.get("/v1/x/y/a", headers=asks).headers
