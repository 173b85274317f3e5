import numpy as np
import pyarrow as pa
import pytest

from wolter.answering.scoring import SampleAxis
from wolter.catalogue import samples
from wolter.errors import InputError

AXES = (SampleAxis("slope"), SampleAxis("norm", "ct/s", "log"))


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    slope = rng.normal(1.9, 0.01, (n, 64))
    return np.stack([slope, 10 ** rng.uniform(-6, -3, (n, 64))], -1).astype(np.float32)


def test_an_error_is_at_most_half_a_code_of_the_range():
    true = drawn(20)
    found = samples.decode(samples.encode(true, AXES), AXES)
    span = np.ptp(true[..., 0], 1)[:, None]
    assert (np.abs(found[..., 0] - true[..., 0]) <= span / 510 * 1.01 + 2e-7).all()
    span = np.ptp(np.log(true[..., 1]), 1)[:, None]
    assert (np.abs(np.log(found[..., 1] / true[..., 1])) <= span / 510 * 1.01 + 2e-6).all()


def test_a_byte_a_sample():
    assert samples.encode(drawn(3), AXES).shape == (3, 2 * (8 + 64))


def test_samples_that_are_all_equal_stay_so():
    same = np.full((1, 64, 2), 0.5, np.float32)
    assert samples.decode(samples.encode(same, AXES), AXES) == pytest.approx(0.5)


def test_kept_samples_are_wrong_by_a_seventieth_of_the_range_at_most(tmp_path):
    true = drawn(300, 1)
    coded = samples.encode(true, AXES)
    listed = pa.FixedSizeListArray.from_arrays(pa.array(coded.ravel()), coded.shape[1])
    part = samples.Part("m", AXES, np.arange(300), listed)
    samples.write_samples(tmp_path / samples.FILE, [part])
    kept = [samples.read_samples(tmp_path, i)["m"] for i in range(0, 300, 7)]
    slope, norm = (np.stack([each[name] for each in kept]) for name in ("slope", "norm"))
    true = true[::7].astype(float)
    error = np.abs(slope - true[..., 0]) / np.ptp(true[..., 0], 1)[:, None]
    assert 1 / 200 < error.max() < 1 / 70
    log = np.log(true[..., 1])
    error = np.abs(np.log(norm) - log) / np.ptp(log, 1)[:, None]
    assert 1 / 200 < error.max() < 1 / 70


def test_samples_are_found_by_detection(tmp_path):
    true = drawn(5)
    coded = samples.encode(true, AXES)
    listed = pa.FixedSizeListArray.from_arrays(pa.array(coded.ravel()), coded.shape[1])
    ids = np.array([9, 3, 7, 1, 5])
    samples.write_samples(tmp_path / samples.FILE, [samples.Part("m", AXES, ids, listed)])
    found = samples.read_samples(tmp_path, 7)["m"]
    assert found["slope"] == pytest.approx(true[2, :, 0], abs=1e-3)
    assert found["norm"] == pytest.approx(true[2, :, 1], rel=0.1)
    assert samples.read_samples(tmp_path, 8) == {}


def test_a_release_without_samples_says_so(tmp_path):
    with pytest.raises(InputError, match="no posterior samples"):
        samples.read_samples(tmp_path, 1)
