import re

from wolter import progress


def test_lines_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with progress.bar("training", 4) as advance:
        advance(0.5)
        advance(1.5)
        advance(0, total=8)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" left")[0] for line in lines] == [
        "training: 0.5 of 4, 12 %, 0 min",
        "training: 2 of 4, 50 %, 0 min",
        "training: 2 of 8, 25 %, 0 min",
    ]


def test_what_is_left_goes_by_what_was_done(capsys, monkeypatch):
    clock = iter([0.0, 30.0, 3600.0, 3610.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bar("fitting", 10) as advance:
        advance(1)  # too early to tell
        advance(3)
        advance(1)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"fitting: 4 of 10, 40 %, 1 h 30 min left", line)


def test_work_of_unknown_size(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with progress.bar("reading") as advance:
        advance(3)
    assert capsys.readouterr().err == "reading: 3\n"
