import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.catalogue import grouping


def test_identifiers_are_the_same_for_the_same_words_and_fit_json():
    words = [f"file-{i}.pha" for i in range(1000)]
    ids = grouping.identifiers(words)
    assert (ids == grouping.identifiers(words)).all()
    assert len(np.unique(ids)) == 1000
    assert ids.min() >= 0
    assert ids.max() < 2**53


def test_words_that_fall_together_are_told_apart(monkeypatch):
    monkeypatch.setattr(grouping, "BITS", 4)
    ids = grouping.identifiers([str(i) for i in range(12)])
    assert sorted(np.unique(ids)) == sorted(ids)


def test_detections_within_the_radius_are_of_one_source():
    ra = np.array([10.0, 10.0 + 4 / 3600, 10.0 + 20 / 3600, 0.0, 360 - 2 / 3600])
    dec = np.zeros(5)
    label = grouping.group(ra, dec, [""] * 5, 5.0)
    assert label[0] == label[1]
    assert label[3] == label[4]
    assert len(np.unique(label)) == 3


def test_near_the_pole_right_ascension_means_nothing():
    label = grouping.group(np.array([0.0, 180.0]), np.full(2, 90 - 1 / 3600), ["", ""], 5.0)
    assert label[0] == label[1]


def test_given_identities_go_before_positions():
    ra, dec = np.array([10.0, 10.0, 50.0]), np.zeros(3)
    label = grouping.group(ra, dec, ["a", "b", "a"], 5.0)
    assert label[0] == label[2] != label[1]


def test_names_are_cut_and_not_rounded():
    names = grouping.name_of(np.array([187.27791, 359.99999]), np.array([2.05239, -0.0002]), "WLT")
    assert names == ["WLT J122906.6+020308", "WLT J235959.9-000000"]


def test_sources_keep_their_identifiers_when_detections_are_added(tmp_path):
    first = grouping.source_ids(np.array([50, 70]), np.array([0, 1]), tmp_path)
    assert first.tolist() == [50, 70]
    later = grouping.source_ids(np.array([10, 50, 70, 80]), np.array([0, 0, 1, 2]), tmp_path)
    assert later.tolist() == [50, 70, 80]


def test_sources_that_fell_together_and_apart_again_have_identifiers_of_their_own(tmp_path):
    ids = np.array([50, 70])
    for label_N, expected in (([0, 1], [50, 70]), ([0, 0], [50]), ([0, 1], [50, 70])):
        assert grouping.source_ids(ids, np.array(label_N), tmp_path).tolist() == expected


labels_of = st.lists(st.integers(0, 4), min_size=5, max_size=5)
builds = st.lists(st.tuples(st.sets(st.integers(0, 4), min_size=1), labels_of), max_size=6)


@given(builds)
@settings(max_examples=60)
def test_no_two_sources_have_one_identifier_whatever_happened_before(tmp_path_factory, builds):
    kept = tmp_path_factory.mktemp("ids")
    for present, labels in builds:
        at = sorted(present)
        _, label_N = np.unique([labels[i] for i in at], return_inverse=True)
        detection_N = np.array([3, 5, 7, 9, 11])[at]
        first = grouping.source_ids(detection_N, label_N, kept)
        assert len(np.unique(first)) == len(first) == label_N.max() + 1
        assert grouping.source_ids(detection_N, label_N, kept).tolist() == first.tolist()


def test_a_source_that_falls_into_two_keeps_its_identifier_once(tmp_path):
    grouping.source_ids(np.array([50, 70]), np.array([0, 0]), tmp_path)
    apart = grouping.source_ids(np.array([50, 70]), np.array([0, 1]), tmp_path)
    assert apart.tolist() == [50, 70]
