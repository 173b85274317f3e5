"""Requests are bounded in their size, their number and their time."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from tests.asgi import run, told

from wolter.serve import limits
from wolter.serve.limits import Admit, LimitBody


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
        assert headers[b"retry-after"] == b"1"  # nothing was measured
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
        await asyncio.sleep(1.0)
        await echo(scope, receive, send)

    async def scene():
        app = Admit(noted, at_once=1, waiting=1, timeout_s=30)
        now = asyncio.get_running_loop().time()
        await asyncio.gather(*(run(app)[0] for _ in range(2)))
        return now

    now = asyncio.run(scene())
    assert seen == pytest.approx([now + 30] * 2, abs=0.9)


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
    line = "the request is larger than 1.5 MB; send fewer files or records"
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


def test_the_time_until_there_is_room_is_measured(monkeypatch):
    """Three requests of 4 s each before one that is refused, one at a time: 12 s."""
    now = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])

    async def scene():
        lane, ready = limits.Lane(at_once=1, waiting=2), asyncio.Event()

        async def one():
            async with lane.enter():
                await ready.wait()
                now[0] += 4

        assert lane.again_s == 1  # nothing was measured
        ready.set()
        await one()
        ready.clear()
        tasks = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(limits.BusyError, match="3 requests wait already") as caught:
            await one()
        ready.set()
        await asyncio.gather(*tasks)
        await one()
        return caught.value.again_s

    assert asyncio.run(scene()) == 12


@pytest.mark.parametrize(
    ("asks", "refused"),
    [
        ({"waits": False}, True),
        ({"left_s": 11.0}, True),  # four seconds of each before, and four of its own
        ({"left_s": 13.0}, False),
        ({}, False),
    ],
)
def test_who_may_not_wait_or_has_no_time_to_is_refused_at_once(monkeypatch, asks, refused):
    """Requests of 4 s each, of which one is answered and one waits."""
    now = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])

    async def scene():
        lane, ready = limits.Lane(at_once=1, waiting=5), asyncio.Event()

        async def one(**asked):
            async with lane.enter(**asked):
                await ready.wait()
                now[0] += 4

        ready.set()
        await one(**asks)  # alone it is always let in
        ready.clear()
        before = [asyncio.create_task(one()) for _ in range(2)]
        await asyncio.sleep(0)
        task = asyncio.create_task(one(**asks))
        await asyncio.sleep(0)
        ready.set()
        await asyncio.gather(*before)
        try:
            await task
        except limits.BusyError:
            return True
        return False

    assert asyncio.run(scene()) is refused
