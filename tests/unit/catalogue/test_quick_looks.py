"""Quick looks of a release: what is kept of them, and which."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.releases import LOOK_AXIS, look

from wolter.answering.quick_look import LookAxis, QuickLook
from wolter.catalogue import quick_looks
from wolter.catalogue.quick_looks import Part, encode


def written(folder, *parts):
    quick_looks.write(folder / quick_looks.FILE, parts)
    return folder


def part(looks, detections, reason="", model="one", axis=LOOK_AXIS):
    reasons = pa.array([reason] * len(detections), pa.string())
    return Part(model, axis, np.array(detections), reasons, encode(looks))


def test_numbers_come_back_to_a_percent(tmp_path):
    kept = look(np.random.default_rng(0))
    found = quick_looks.read(written(tmp_path, part([kept], [7])), [7, 8])
    assert list(found) == [7]
    seen = found[7]
    assert (seen.model, seen.axis, seen.look.exposure_s) == ("one", LOOK_AXIS, 2e4)
    assert seen.look.counts_G.tolist() == kept.counts_G.tolist()
    assert seen.look.model_G == pytest.approx(kept.model_G, rel=2e-3)
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
    found = quick_looks.read(written(tmp_path, good, part([banded], [1])), [1])
    assert found[1].model == "one"


def test_a_release_without_looks_has_none(tmp_path):
    assert quick_looks.read(tmp_path, [1]) == {}
    assert quick_looks.known(tmp_path, [1]) == set()


def test_rows_are_small_and_in_the_order_of_detections(tmp_path):
    rng = np.random.default_rng(2)
    n = 3_000
    ids = rng.permutation(n)
    folder = written(tmp_path, part([look(rng, 12) for _ in range(n)], ids))
    table = pq.read_table(folder / quick_looks.FILE)
    assert table["detection_id"].to_pylist() == list(range(n))
    assert (folder / quick_looks.FILE).stat().st_size < 120 * n


def test_intervals_of_counts_are_those_of_gehrels():
    """Table 1 and 2 of Gehrels 1986: 0, 1 and 10 counts at 84.13 %."""
    counts = np.array([0.0, 1, 10])
    seen = QuickLook(np.array([0.0, 1, 2, 3]), counts, np.zeros(3), 1.0)
    low, high = seen.limits_2G
    assert low == pytest.approx([0, 0.173, 6.891], abs=0.01)
    assert high == pytest.approx([1.841, 3.300, 14.27], abs=0.03)
