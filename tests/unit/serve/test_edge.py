"""What the proxy answers itself: liveness, and its errors as JSON."""

import asyncio

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient
from tests.asgi import run, told

from wolter.serve.edge import Edge, middlewares


def edge_client(app):
    (middleware,) = middlewares()
    assert middleware.cls is Edge
    return TestClient(Edge(app), raise_server_exceptions=False)


def test_liveness_needs_no_application():
    async def dead(scope, receive, send):
        raise AssertionError

    response = edge_client(dead).get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("status", [404, 408, 429, 500, 503])
def test_plain_errors_of_the_proxy_become_json(status):
    client = edge_client(PlainTextResponse("Ray\nsays no", status, {"retry-after": "7"}))
    response = client.post("/v1/x")
    assert response.status_code == status
    assert response.headers["retry-after"] == "7"
    assert list(response.json()) == ["detail"]
    assert "Ray" not in response.json()["detail"]


def test_a_replica_that_dies_is_told_in_json():
    async def silent(scope, receive, send):
        pass

    response = edge_client(silent).post("/v1/x")
    assert response.status_code == 500
    assert "try again" in response.json()["detail"]


def test_other_answers_pass_the_edge_as_they_are():
    assert edge_client(PlainTextResponse("words")).get("/docs").text == "words"
    refused = edge_client(JSONResponse({"detail": "no"}, 422)).get("/v1/x")
    assert (refused.status_code, refused.json()) == (422, {"detail": "no"})
    assert edge_client(PlainTextResponse("gone", 503)).get("/-/healthz").text == "gone"


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "nothing is served at this path; see /docs"),
        (408, "the request took too long; send fewer files or records"),
        (429, "too many requests wait; try again in a few seconds"),
        (500, "the server failed on this request; try again"),
        (503, "the service is not ready; try again in a few seconds"),
        (400, "the server failed on this request; try again"),
    ],
)
def test_each_error_of_the_proxy_has_its_line(status, line):
    response = edge_client(PlainTextResponse("Ray says no", status)).get("/v1/x")
    assert (response.status_code, response.json()) == (status, {"detail": line})


@pytest.mark.parametrize("status", [200, 307, 399])
def test_what_is_no_error_passes_the_edge(status):
    client = edge_client(PlainTextResponse("words", status))
    response = client.get("/v1/x", follow_redirects=False)
    assert (response.status_code, response.text) == (status, "words")


def test_headers_that_tell_what_to_do_are_kept_and_no_others():
    kept = {"retry-after": "7", "x-request-id": "abc", "allow": "POST"}
    client = edge_client(PlainTextResponse("no", 429, kept | {"x-secret": "s"}))
    headers = client.get("/v1/x").headers
    assert {name: headers[name] for name in kept} == kept
    assert "x-secret" not in headers
    assert headers["content-type"] == "application/json"


def test_liveness_is_asked_by_get_and_head():
    client = edge_client(PlainTextResponse("the application", 200))
    assert client.head("/livez").status_code == 200
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.post("/livez").text == "the application"
    assert client.get("/livez/more").text == "the application"


def test_messages_that_the_edge_does_not_know_pass():
    async def trailing(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": [
            (b"content-type", b"application/json")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b"{}"})
        await send({"type": "http.response.trailers", "headers": []})

    task, sent = run(Edge(trailing))
    asyncio.run(task)
    kinds = [message["type"].rpartition(".")[2] for message in sent]
    assert kinds == ["start", "body", "trailers"]


@pytest.mark.parametrize("kind", ["lifespan", "ahead", "websocket"])
def test_what_is_no_http_request_passes_the_edge(kind):
    seen = []

    async def noted(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Edge(noted)({"type": kind}, None, None))
    assert seen == [kind]


def test_nothing_of_the_proxy_s_text_follows_the_json():
    task, sent = run(Edge(PlainTextResponse("Ray says no", 503)))
    asyncio.run(task)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert b"Ray" not in told(sent)[2]
