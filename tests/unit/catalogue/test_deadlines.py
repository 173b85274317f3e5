"""Deadlines: what is late is interrupted, what ended in time never is."""

import threading
import time

from wolter.catalogue.deadlines import Deadlines


def test_late_work_is_interrupted_once_and_punctual_work_never():
    deadlines, called = Deadlines(), []
    ended = threading.Event()

    def interrupt():
        called.append("late")
        ended.set()

    with deadlines.limit(60, lambda: called.append("punctual")):
        with deadlines.limit(0.01, interrupt):
            assert ended.wait(30)
        with deadlines.limit(60, lambda: called.append("punctual")):
            pass
    ended.clear()
    with deadlines.limit(0.01, interrupt):
        assert ended.wait(30)
    assert called == ["late", "late"]
    deadlines.close()


def test_the_thread_ends_when_it_is_closed():
    deadlines = Deadlines()
    with deadlines.limit(60, time.sleep):
        thread = deadlines._thread
    deadlines.close()
    thread.join(30)
    assert not thread.is_alive()
