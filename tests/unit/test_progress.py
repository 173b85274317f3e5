from wolter import progress


def test_lines_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    with progress.bar("training", 4) as advance:
        advance(0.5)
        advance(1.5)
        advance(0, total=8)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" left")[0] for line in lines] == [
        "training: 0.5 of 4, 12 %",  # no rate yet
        "training: 2 of 4, 50 %, 0 min",
        "training: 2 of 8, 25 %, 0 min",
    ]


def told(capsys, monkeypatch, total, pieces):
    """Lines of work whose pieces are done at these times, in seconds."""
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.bar("fitting", total) as advance:
        for now, steps in pieces:  # noqa: B007  # the clock reads it
            advance(steps)
    return capsys.readouterr().err.splitlines()


def test_what_is_left_goes_by_the_rate_of_the_work_and_not_by_the_start(capsys, monkeypatch):
    """An hour to start, then a piece a minute: 8 minutes are left of 10 after two."""
    pieces = [(3600, 1), (3660, 1), (3720, 1), (3780, 2)]
    assert told(capsys, monkeypatch, 10, pieces) == [
        "fitting: 1 of 10, 10 %",
        "fitting: 2 of 10, 20 %, 8 min left",
        "fitting: 3 of 10, 30 %, 7 min left",
        "fitting: 5 of 10, 50 %, 4 min left",  # 4 in the last 3 minutes
    ]


def test_the_rate_is_that_of_the_last_minutes(capsys, monkeypatch):
    """A piece a minute for an hour, then five: 140 are 28 minutes."""
    slow = [(60 * (i + 1), 1) for i in range(60)]
    fast = [(3600 + 60 * (i + 1), 5) for i in range(8)]
    assert told(capsys, monkeypatch, 240, slow + fast)[-1] == (
        "fitting: 100 of 240, 42 %, 28 min left"
    )


def test_lines_come_once_a_minute(capsys, monkeypatch):
    pieces = [(5, 1), (9.9, 1), (10, 1), (69, 1), (70, 1), (71, 1)]
    lines = told(capsys, monkeypatch, 100, pieces)
    assert [line.partition(",")[0] for line in lines] == ["fitting: 3 of 100", "fitting: 5 of 100"]


def test_work_of_unknown_size(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    with progress.bar("reading") as advance:
        advance(3)
    assert capsys.readouterr().err == "reading: 3\n"
