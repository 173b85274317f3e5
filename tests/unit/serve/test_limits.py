import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient

from wolter.serve import limits
from wolter.serve.edge import Edge, middlewares
from wolter.serve.limits import Admit, LimitBody


def run(app, method="POST", path="/v1/x", headers=(), chunks=(b"",)):
    """Status, headers and body of what an application answers to a request."""
    sent, waiting = [], [*chunks]

    async def receive():
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [*headers]}
    return app(scope, receive, send), sent


def told(sent):
    start, *bodies = sent
    content = b"".join(message.get("body", b"") for message in bodies)
    return start["status"], dict(start["headers"]), content


async def echo(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await JSONResponse({"size": size})(scope, receive, send)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_beyond_those_that_may_wait_are_told_to_come_again(method):
    async def scene():
        ready = asyncio.Event()

        async def slow(scope, receive, send):
            await ready.wait()
            await echo(scope, receive, send)

        app = Admit(slow, at_once=1, waiting=2, timeout_s=30)
        asked = [run(app, method) for _ in range(5)]
        tasks = [asyncio.create_task(each) for each, _ in asked]
        await asyncio.sleep(0)
        ready.set()
        await asyncio.gather(*tasks)
        answers = [told(sent) for _, sent in asked]
        after, sent = run(app, method)
        await after
        return answers, told(sent)

    answers, after = asyncio.run(scene())
    refused = 2 if method == "POST" else 0  # health and documentation never wait
    assert [status for status, _, _ in answers] == [200] * (5 - refused) + [429] * refused
    if refused:
        _, headers, content = answers[-1]
        assert headers[b"retry-after"] == b"2"
        assert b"3 requests wait already" in content
    assert after[0] == 200


def test_so_many_requests_run_at_once():
    most = now = 0

    async def noted(scope, receive, send):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        await echo(scope, receive, send)

    async def scene():
        app = Admit(noted, at_once=3, waiting=10, timeout_s=30)
        asked = [run(app) for _ in range(10)]
        await asyncio.gather(*(each for each, _ in asked))
        return [told(sent)[0] for _, sent in asked]

    assert asyncio.run(scene()) == [200] * 10
    assert most == 3


def test_a_request_knows_until_when_it_must_be_answered():
    """The time counts from its arrival, not from its turn."""
    seen = []

    async def noted(scope, receive, send):
        seen.append(scope["answer_by"])
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    async def scene():
        app = Admit(noted, at_once=1, waiting=1, timeout_s=30)
        now = asyncio.get_running_loop().time()
        await asyncio.gather(*(run(app)[0] for _ in range(2)))
        return now

    now = asyncio.run(scene())
    assert seen == pytest.approx([now + 30] * 2, abs=0.04)


def test_an_answer_that_takes_too_long_is_a_408():
    async def slow(scope, receive, send):
        await asyncio.sleep(60)

    task, sent = run(Admit(slow, at_once=1, waiting=0, timeout_s=0.01))
    asyncio.run(task)
    status, headers, content = told(sent)
    assert (status, headers[b"content-type"]) == (408, b"application/json")
    assert b"no answer within 0.01 s" in content


@pytest.mark.parametrize(
    ("kind", "size", "status"),
    [
        (b"multipart/form-data; boundary=x", 100, 200),
        (b"multipart/form-data; boundary=x", 101, 413),
        (b"application/json", 50, 200),
        (b"application/json", 51, 413),
        (b"", 51, 413),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_bodies_are_bounded_by_their_kind(kind, size, status, announced):
    app = LimitBody(echo, max_bytes=100, max_json=50)
    headers = [(b"content-type", kind)]
    if announced:
        headers.append((b"content-length", str(size).encode()))
    task, sent = run(app, headers=headers, chunks=(b"x" * 40, b"x" * (size - 40)))
    if status == 413 and not announced:
        with pytest.raises(Exception, match="the request is larger than"):
            asyncio.run(task)
        return
    asyncio.run(task)
    assert told(sent)[0] == status


def test_a_body_that_stops_arriving_is_a_408(monkeypatch):
    monkeypatch.setattr(limits, "SILENT_S", 0.01)
    pieces = [{"type": "http.request", "body": b"a", "more_body": True}]

    async def receive():
        if not pieces:
            await asyncio.sleep(60)
        return pieces.pop()

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    app = LimitBody(echo, max_bytes=100, max_json=50)
    with pytest.raises(HTTPException, match="nothing arrived for") as caught:
        asyncio.run(app(scope, receive, None))
    assert caught.value.status_code == 408


def test_an_answer_may_take_longer_than_a_body_may_be_silent(monkeypatch):
    monkeypatch.setattr(limits, "SILENT_S", 0.01)

    async def slow(scope, receive, send):
        await receive()
        waiting = asyncio.create_task(receive())  # for the client to go
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()
        await JSONResponse({})(scope, receive, send)

    pieces = [{"type": "http.request", "body": b"a", "more_body": False}]
    sent = []

    async def receive():
        if not pieces:
            await asyncio.sleep(60)
        return pieces.pop()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(LimitBody(slow, max_bytes=100, max_json=50)(scope, receive, send))
    assert told(sent)[0] == 200


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


def test_an_answer_that_has_begun_is_not_followed_by_another():
    async def begun(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    task, sent = run(Admit(begun, at_once=1, waiting=0, timeout_s=0.01))
    with pytest.raises(TimeoutError):
        asyncio.run(task)
    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize(
    ("announced", "status"),
    [("100".zfill(18), 200), ("100".zfill(19), 413), ("101".zfill(18), 413), ("x", 200), ("", 200)],
)
def test_announced_lengths_of_many_digits(announced, status):
    app = LimitBody(echo, max_bytes=100, max_json=100)
    headers = [(b"content-length", announced.encode())]
    task, sent = run(app, headers=headers, chunks=(b"x" * 100,))
    asyncio.run(task)
    assert told(sent)[0] == status


@pytest.mark.parametrize("middleware", ["body", "admit"])
def test_what_is_no_http_request_passes(middleware):
    seen = []

    async def noted(scope, receive, send):
        seen.append(scope["type"])

    app = LimitBody(noted, 0, 0) if middleware == "body" else Admit(noted, 0, 0, 1)
    for kind in ("lifespan", "websocket", "ahead"):
        asyncio.run(app({"type": kind}, None, None))
    assert seen == ["lifespan", "websocket", "ahead"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "nothing is served at this path; see /docs"),
        (408, "the request took too long; send fewer files or spectra"),
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


def test_a_body_may_be_silent_for_twenty_seconds_until_it_is_whole(monkeypatch):
    waited, plain = [], asyncio.timeout

    def timeout(seconds):
        waited.append(seconds)
        return plain(seconds)

    monkeypatch.setattr(limits.asyncio, "timeout", timeout)
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0)

    async def three(scope, receive, send):
        for _ in range(3):
            await receive()

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(LimitBody(three, max_bytes=2, max_json=2)(scope, receive, None))
    assert waited == [20.0, 20.0, None]


@pytest.mark.parametrize("announced", [True, False])
def test_limits_are_told_in_megabytes(announced):
    size = 3 * 2**19 + 1
    app = LimitBody(echo, max_bytes=3 * 2**19, max_json=10 * 2**20)
    headers = [(b"content-length", str(size).encode())] if announced else []
    task, sent = run(app, headers=headers, chunks=(bytes(size),))
    line = "the request is larger than 1.5 MB; send fewer files or spectra"
    if announced:
        asyncio.run(task)
        status, _, content = told(sent)
        assert (status, content) == (413, b'{"detail":"%s"}' % line.encode())
        return
    with pytest.raises(HTTPException) as caught:
        asyncio.run(task)
    assert (caught.value.status_code, caught.value.detail) == (413, line)


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("PUT", 200), ("HEAD", 200), ("POST", 429)]
)
def test_posts_alone_wait(method, status):
    task, sent = run(Admit(echo, at_once=0, waiting=0, timeout_s=1), method)
    asyncio.run(task)
    assert told(sent)[0] == status


def test_nothing_of_the_proxy_s_text_follows_the_json():
    task, sent = run(Edge(PlainTextResponse("Ray says no", 503)))
    asyncio.run(task)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert b"Ray" not in told(sent)[2]


def test_there_is_room_for_as_many_after_some_were_answered():
    async def scene():
        ready = asyncio.Event()

        async def slow(scope, receive, send):
            await ready.wait()
            await echo(scope, receive, send)

        app, refused = Admit(slow, at_once=2, waiting=1, timeout_s=30), []
        for _ in range(3):
            asked = [run(app) for _ in range(7)]
            tasks = [asyncio.create_task(each) for each, _ in asked]
            await asyncio.sleep(0)
            ready.set()
            await asyncio.gather(*tasks)
            refused.append([told(sent)[0] for _, sent in asked].count(429))
            ready.clear()
        return refused

    assert asyncio.run(scene()) == [4, 4, 4]
