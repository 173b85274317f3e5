"""Quick looks of a release: what is kept of them, and which."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.releases import LOOK_AXIS, look

from wolter.answering.quick_look import LookAxis, QuickLook
from wolter.catalogue import files, hats, quick_looks
from wolter.catalogue.quick_looks import Part, encode
from wolter.catalogue.release import Release

ABOUT = Release("R1", "2026-01-01T00:00:00Z", True, "random", (), {}, {})


def written(folder, *parts):
    """Release of nothing but looks; each detection is that of the source of its number."""
    ids = np.unique(np.concatenate([part.detection_N for part in parts]))
    sources = {"source_id": ids, "ra": ids * 0.01, "dec": ids * 0.0, "healpix_29": ids * 2**40}
    detections = pa.table({"detection_id": ids, "source_id": ids})
    folder.mkdir(exist_ok=True)
    files.write_collection(folder, ABOUT, pa.table(sources), detections, parts)
    return folder


def part(looks, detections, reason="", model="one", axis=LOOK_AXIS):
    reasons = pa.array([reason] * len(detections), pa.string())
    return Part(model, axis, np.array(detections), reasons, encode(looks))


def test_numbers_come_back_to_a_percent(tmp_path):
    kept = look(np.random.default_rng(0))
    found = quick_looks.read(written(tmp_path, part([kept], [7])), [7, 8])
    assert list(found) == [7]
    seen = found[7]
    assert (seen.model, seen.axis) == ("one", LOOK_AXIS)
    assert seen.look.exposure_s == pytest.approx(2e4, rel=3e-4)
    assert seen.look.counts_G.tolist() == kept.counts_G.tolist()
    assert seen.look.model_G == pytest.approx(kept.model_G, rel=4e-3)
    assert seen.look.edges_G1 == pytest.approx(kept.edges_G1, rel=1e-7)
    for name in ("background_G", "model_G", "low_G", "high_G"):
        assert getattr(seen.look, name) == pytest.approx(getattr(kept, name), rel=8e-3)


def test_what_a_look_lacks_stays_missing(tmp_path):
    bare = QuickLook(np.array([1.0, 2, 3]), np.array([4.0, 0]), np.zeros(2), 10.0)
    folder = written(tmp_path, part([None, bare, None], [1, 2, 3], "few_counts"))
    (seen,) = quick_looks.read(folder, [1, 2, 3]).values()
    assert seen.look.model_G is None
    assert seen.reason == ""  # nothing is expected that might be used
    assert seen.look.high_G is None
    assert quick_looks.known(folder, [1, 2, 3]) == {2}


def test_a_usable_look_is_kept_before_one_with_a_band(tmp_path):
    rng = np.random.default_rng(1)
    banded = look(rng)
    line = QuickLook(banded.edges_G1, banded.counts_G, banded.background_G, 1.0, banded.model_G)
    other = LookAxis("time", "s")
    bad = part([banded] * 2, [1, 2], "not_explained")
    good = part([line, None], [1, 2], model="two", axis=other)
    found = quick_looks.read(written(tmp_path, bad, good), [1, 2])
    assert {at: (seen.model, seen.axis) for at, seen in found.items()} == {
        1: ("two", other),
        2: ("one", LOOK_AXIS),
    }
    assert {at: seen.reason for at, seen in found.items()} == {1: "", 2: "not_explained"}
    found = quick_looks.read(written(tmp_path / "other", good, part([banded], [1])), [1])
    assert found[1].model == "one"


def test_a_release_without_looks_has_none(tmp_path):
    assert quick_looks.read(tmp_path, [1]) == {}
    assert quick_looks.known(tmp_path, [1]) == set()


def test_looks_are_found_in_any_order_and_take_few_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(hats, "GROUP", 1_000)
    rng = np.random.default_rng(2)
    n = 3_000
    ids = rng.permutation(n)
    looks = [look(rng, 12) for _ in range(n)]
    folder = written(tmp_path, part(looks, ids))
    table = pq.read_table(folder / quick_looks.FILE)
    assert table["detection_id"].to_pylist() == list(range(n))
    asked = [2_999, 0, 1_000, 999, 1_500, n]
    found = quick_looks.read(folder, asked)
    assert set(found) == set(asked[:-1])
    for each, seen in found.items():
        own = looks[int(np.flatnonzero(ids == each)[0])]
        assert seen.look.counts_G.tolist() == own.counts_G.tolist()
    size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
    assert size < 120 * n


def test_two_detections_of_a_source_keep_their_own_looks(tmp_path):
    rng = np.random.default_rng(3)
    looks = [look(rng, 5), look(rng, 8)]
    source = pa.table({"source_id": [1], "ra": [0.0], "dec": [0.0], "healpix_29": [5]})
    detections = pa.table({"detection_id": [8, 9], "source_id": [1, 1]})
    files.write_collection(tmp_path, ABOUT, source, detections, [part(looks, [8, 9])])
    found = quick_looks.read(tmp_path, [9, 8])
    for each, own in zip((8, 9), looks, strict=True):
        assert found[each].look.counts_G.tolist() == own.counts_G.tolist()
        assert found[each].look.edges_G1 == pytest.approx(own.edges_G1, rel=1e-6)


def test_intervals_of_counts_are_those_of_gehrels():
    """Table 1 and 2 of Gehrels 1986: 0, 1 and 10 counts at 84.13 %."""
    counts = np.array([0.0, 1, 10])
    seen = QuickLook(np.array([0.0, 1, 2, 3]), counts, np.zeros(3), 1.0)
    low, high = seen.limits_2G
    assert low == pytest.approx([0, 0.173, 6.891], abs=0.01)
    assert high == pytest.approx([1.841, 3.300, 14.27], abs=0.03)
