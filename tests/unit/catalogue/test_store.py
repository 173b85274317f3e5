"""The store: read-only and hardened, a new release after the last query on the old."""

import shutil
import threading
import time
from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from tests.releases import random_release

from wolter.catalogue import release as releases
from wolter.catalogue import store as stores
from wolter.catalogue.position_lists import PositionList
from wolter.catalogue.store import Store, StoreLimits
from wolter.catalogue.watchlists import Watchlists
from wolter.errors import InputError, TooLargeError, UnavailableError

REFUSED = [
    "SET threads=4",
    "RESET lock_configuration",
    "ATTACH '/tmp/x.db'",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM glob('/*')",
    "SELECT getenv('HOME')",
    "COPY source TO '/tmp/x.csv'",
    "EXPORT DATABASE '/tmp/x'",
    "CREATE TABLE x AS SELECT 1",
    "UPDATE source SET ra = 0",
    "DELETE FROM source",
    "INSTALL httpfs",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_a_hardened_database_refuses(snapshot, sql):
    with pytest.raises(duckdb.Error):
        snapshot.query(sql)
    assert snapshot.query("SELECT count(*) AS n FROM source")["n"][0].as_py() == 3_000


def test_a_python_variable_is_no_table(snapshot):
    rows = np.arange(3)
    with pytest.raises(duckdb.Error, match="rows"):
        snapshot.query("SELECT * FROM rows")
    assert len(rows) == 3


@pytest.fixture
def impatient(release_root):
    store = Store(release_root, StoreLimits(query_s=0.2))
    with store.open() as snapshot:
        yield snapshot
    store.close()


def test_a_slow_query_is_interrupted_and_the_next_is_answered(impatient):
    product = "FROM source a, source b, source c WHERE sin(a.ra * b.dec * c.ra) > 2"
    start = time.monotonic()
    with pytest.raises(TooLargeError, match=r"longer than 0\.2 s"):
        impatient.query(f"SELECT count(*) {product}")
    assert time.monotonic() - start < 30
    assert len(impatient.query("SELECT ra FROM source")) == 3_000


@pytest.mark.parametrize("piece", [700, 1_000, 1_000_000])
def test_rows_come_in_the_order_asked_and_repeat(release_root, monkeypatch, piece):
    monkeypatch.setattr(stores, "PIECE", piece)
    store = Store(release_root)
    with store.open() as snapshot:
        columns = snapshot.source.columns
        every = snapshot.query("SELECT * FROM source ORDER BY rowid")
        for asked in ([5, 3, 3, 2_999, 0], [7, 8, 9], [], [4], range(3_000)):
            asked_M = np.array(asked, np.int64)
            expected = every.take(asked_M).select([column.name for column in columns])
            assert snapshot.rows(asked_M, columns).equals(expected)
        few = [snapshot.source.column("ra"), snapshot.source.column("name")]
        assert snapshot.rows(np.array([1]), few).column_names == ["ra", "name"]
    store.close()


def test_a_new_release_answers_next_and_the_old_one_ends_its_queries(tmp_path):
    for name, n in (("R1", 10), ("R2", 20), ("R3", 30)):
        random_release(tmp_path, n, name)
    store = Store(tmp_path, StoreLimits(kept=0))
    with pytest.raises(UnavailableError, match="no release"), store.open():
        pass
    releases.make_current("R1", tmp_path)

    def count(snapshot):
        return snapshot.query("SELECT count(*) AS n FROM source")["n"][0].as_py()

    with store.open() as first:
        assert count(first) == 10
        releases.make_current("R2", tmp_path)
        with store.open() as second, store.open("R3") as third:
            assert [count(each) for each in (first, second, third)] == [10, 20, 30]
    with store.open("R1") as again:
        assert count(again) == 10
    with store.open():
        assert [name for name, *_ in store._open] == ["R2"]  # the others are closed
    with pytest.raises(duckdb.Error):
        count(first)
    with pytest.raises(InputError, match="there are: R1, R2, R3"), store.open("R4"):
        pass
    assert [each.name for each in store.releases()] == ["R1", "R2", "R3"]
    store.close()


def test_many_threads_ask_at_once(release_root):
    store, wrong = Store(release_root), []

    def ask(i):
        with store.open() as snapshot:
            rows = snapshot.rows(np.array([i, 2 * i]), [snapshot.source.column("source_id")])
            if rows["source_id"].to_pylist() != [10**12 + i, 10**12 + 2 * i]:
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(1, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    store.close()


def test_a_release_in_place_of_a_removed_one_answers_itself(tmp_path):
    """It may have the name of one that was removed; watchlists are answered anew."""
    random_release(tmp_path, 20, seed=1)
    watchlists, store = Watchlists(tmp_path / "lists"), Store(tmp_path)
    with store.open("R1") as snapshot:
        ra, dec = (snapshot.sources[name].to_numpy()[:1] for name in ("ra", "dec"))
    watchlists.keep("me", "mine", 0.1, PositionList(("a",), ra, dec))
    mine = watchlists.get("me", "mine")

    def answers():
        with store.open("R1") as snapshot:
            return watchlists.answer(snapshot, "me", mine).rows.num_rows, len(snapshot.sources)

    assert [answers(), answers()] == [(1, 20), (1, 20)]
    with store.open("R1") as before:
        shutil.rmtree(tmp_path / "R1")
        random_release(tmp_path, 10, seed=2, made=datetime.now(UTC).isoformat())
        with pytest.raises(UnavailableError, match="another one now"):
            answers()
        assert before.query("SELECT count(*) AS n FROM source")["n"][0].as_py() == 20
    assert [answers(), answers()] == [(0, 10), (0, 10)]
    assert mine.answered == ()
    assert watchlists.get("me", "mine").answered == ("R1",)
    store.close()


def test_a_release_without_its_description_is_told(tmp_path):
    random_release(tmp_path, 5)
    (tmp_path / "R1" / releases.RELEASE).unlink()
    store = Store(tmp_path)
    with pytest.raises(InputError, match="R1: no release of a catalogue there"), store.open("R1"):
        pass
