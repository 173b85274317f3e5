import json
import tracemalloc

import numpy as np
import pytest
import torch

from wolter.client.arrays import body_of
from wolter.errors import InputError
from wolter.spectra.counts_request import records_of_counts
from wolter.spectra.schema import Parameter, SpectraSpec

SPEC = SpectraSpec((1.0, 2.0, 4.0, 8.0), (Parameter("nh", 0.0, 1.0),))


def records(**values):
    return records_of_counts(json.dumps(values).encode(), SPEC, max_spectra=3)


def test_counts_on_the_model_s_grid():
    record = records(counts=[1, 2, 3], exposure_s=10)
    assert record.names == ["0"]
    assert record.batch.counts_BC.tolist() == [[1, 2, 3]]
    assert record.batch.exposure_B.tolist() == [10]
    assert record.batch.background_scale_B.tolist() == [0]


def test_counts_on_another_grid_are_summed_by_channel_centre():
    record = records(
        counts=[5, 1, 2, 3, 4, 9],
        energy_edges=[0.5, 1, 1.5, 2, 3, 7, 20],
        background=[1, 1, 1, 1, 1, 1],
        background_scale=0.5,
        exposure_s=10,
    )
    assert record.batch.counts_BC.tolist() == [[3, 3, 4]]
    assert record.batch.background_BC.tolist() == [[2, 1, 1]]
    assert record.flags == [()]


def test_several_spectra_with_their_own_values():
    two = records(
        counts=[[1, 2, 3], [4, 5, 6]],
        background=[[0, 0, 1], [1, 0, 0]],
        background_scale=[0.1, 0.2],
        exposure_s=[10, 20],
        names=["a", "b"],
    )
    assert two.names == ["a", "b"]
    assert two.batch.counts_BC.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert two.batch.exposure_B.tolist() == [10, 20]
    assert two.batch.background_scale_B.tolist() == torch.tensor([0.1, 0.2]).tolist()


def test_a_grid_that_does_not_cover_the_model_s_is_flagged():
    record = records(counts=[1, 2], energy_edges=[1, 2, 3], exposure_s=1)
    assert record.flags == [("band_not_covered",)]


GOOD = {"counts": [1, 2, 3], "exposure_s": 10}


def of_arrays(**values):
    return records_of_counts(body_of(values), SPEC, max_spectra=3)


@pytest.mark.parametrize("kind", ["<u1", "<u2", "<i4", "<i8", "<f4", "<f8"])
def test_arrays_say_what_json_says(kind):
    sent = {
        "counts": [[5, 1, 2, 3, 4, 9], [0, 0, 1, 0, 2, 0]],
        "energy_edges": [0.5, 1, 1.5, 2, 3, 7, 20],
        "background": [[1, 1, 1, 1, 1, 1], [0, 3, 0, 0, 0, 0]],
        "background_scale": [0.5, 0.25],
        "exposure_s": [10, 20],
    }
    told = records(**sent)
    counts = {name: np.array(sent[name], kind) for name in ("counts", "background")}
    read = of_arrays(**{name: np.array(each) for name, each in sent.items()} | counts)
    assert (read.names, read.flags, read.exposure_s) == (told.names, told.flags, told.exposure_s)
    for name in ("counts_BC", "background_BC", "background_scale_B", "exposure_B"):
        torch.testing.assert_close(
            getattr(read.batch, name), getattr(told.batch, name), rtol=0, atol=0
        )


def test_one_row_and_one_exposure_are_arrays_too():
    read = of_arrays(counts=np.array([1, 2, 3]), exposure_s=np.array(7.5))
    assert read.batch.counts_BC.tolist() == [[1, 2, 3]]
    assert read.exposure_s == [7.5]


COUNTS, TIME = np.array([[1.0, 2, 3]]), np.array([10.0])


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"counts": COUNTS}, "exposure_s: missing$"),
        ({"exposure_s": TIME}, "counts: missing$"),
        ({"names": COUNTS}, "'names': no array of that name is taken; send "),
        ({"counts": -COUNTS}, "counts: -1; 0 to 1e[+]12 are taken"),
        ({"counts": COUNTS * np.nan}, "counts: nan; 0 to "),
        ({"counts": COUNTS * 1e12}, "counts: 2e[+]12; 0 to "),
        ({"counts": COUNTS > 1}, "counts: bool; send numbers"),
        ({"counts": np.ones((4, 3))}, "counts: 4 spectra; send at most 3"),
        ({"counts": np.ones((1, 0))}, "counts: give one number a channel"),
        ({"counts": np.ones((1, 1, 3))}, "counts: give one number a channel"),
        ({"counts": np.ones((1, 2))}, "counts: 2 channels, the model's grid has 3"),
        ({"exposure_s": TIME * 0}, "exposure_s: 0; 1e-06 to "),
        ({"exposure_s": np.ones((1, 1))}, "exposure_s: give a list of numbers"),
        ({"exposure_s": np.ones(2)}, "exposure_s: 2 values for 1 spectra"),
        ({"energy_edges": np.array([1, np.inf, 3, 4])}, "energy_edges: inf; 0 to 1e[+]06 are"),
        ({"energy_edges": np.array([1, 2, 2, 4])}, "energy_edges: must ascend"),
        ({"background": COUNTS}, "background_scale: missing"),
        ({"background_scale": TIME}, "background_scale: given without background"),
        ({"background": np.ones((2, 3)), "background_scale": TIME}, "background: give as many"),
    ],
)
def test_bad_arrays_are_named(sent, message):
    needed = {} if message.endswith("s: missing$") else {"counts": COUNTS, "exposure_s": TIME}
    with pytest.raises(InputError, match=f"^{message}"):
        of_arrays(**needed | sent)


def test_damaged_arrays_are_named():
    whole = body_of({"counts": COUNTS, "exposure_s": TIME})
    for body in (whole[:-1], whole[:9], b"\0" * 40, whole + b"\0"):
        with pytest.raises(InputError, match=r"^body: no arrays in the safetensors format"):
            records_of_counts(body, SPEC, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": [1, 2]}, "counts: 2 channels, the model's grid has 3"),
        ({"counts": []}, "counts: give one number a channel"),
        ({"counts": [[]]}, "counts: give one number a channel"),
        ({"counts": [[1, 2, 3], [1, 2]]}, "counts: give one number a channel"),
        ({"counts": [[1, 2, 3], 4]}, r"counts\.1: Input should be a valid array"),
        ({"counts": [[1, 2, 3], "abc"]}, r"counts\.1: Input should be a valid array"),
        ({"counts": [[[1, 2], [3, 4]]]}, r"counts\.0\.0: Input should be a valid number"),
        ({"counts": [[1, 2], [[1, 2], [3, 4]]]}, r"counts\.1\.0: Input should be a valid number"),
        ({"counts": [[1, 2, 3], {}]}, r"counts\.1: Input should be a valid array"),
        ({"counts": [1, -2, 3]}, r"counts\.0\.1: Input should be greater than or equal to 0"),
        ({"counts": [1, None, 3]}, r"counts\.0\.1: Input should be a valid number"),
        ({"counts": [1, float("nan"), 3]}, r"counts\.0\.1: Input should be a finite number"),
        ({"counts": [1, float("inf"), 3]}, r"counts\.0\.1: Input should be"),
        ({"counts": "many"}, r"counts: Input should be a valid array \(got 'many'\)"),
        ({"counts": [[1, 2, 3]] * 4}, "counts: 4 spectra; send at most 3"),
        ({"background": [[1, 2, 3]] * 4, "background_scale": 1}, "background: 4 spectra"),
        ({"exposure_s": 0}, r"exposure_s\.0: Input should be greater than or equal to 0\.000001"),
        ({"exposure_s": [1, 2]}, "exposure_s: 2 values for 1 spectra"),
        ({"exposure_s": None}, "exposure_s"),
        ({"background": [1, 2, 3]}, "background_scale: missing"),
        ({"background_scale": 1}, "background_scale: given without background"),
        ({"background": [1, 2], "background_scale": 1}, "background: give as many numbers"),
        ({"energy_edges": [1, 2, 3]}, "energy_edges: 3 edges of 3 channels"),
        ({"energy_edges": [1, 2, 2, 3]}, "energy_edges: must ascend"),
        ({"energy_edges": [100, 200, 300, 400]}, "energy_edges: no channel within 1-8 keV"),
        ({"names": ["a", "b"]}, "names: 2 for 1 spectra"),
        ({"counts": [1, "3", 3]}, r"counts\.0\.1: Input should be a valid number"),
        ({"counts": [1, True, 3]}, r"counts\.0\.1: Input should be a valid number"),
        ({"counts": [1, 1.1e12, 3]}, r"counts\.0\.1: Input should be less than or equal to"),
        ({"exposure_s": "10"}, r"exposure_s\.0: Input should be a valid number"),
        ({"exposure_s": 1e-7}, r"exposure_s\.0: Input should be greater than or equal to"),
        ({"exposure_s": 1e300}, r"exposure_s\.0: Input should be less than or equal to"),
        ({"exposure_s": []}, "exposure_s: 0 values for 1 spectra"),
        ({"background": [1, 2, 3], "background_scale": []}, "background_scale: 0 values for 1"),
        ({"background": [1, 2, 3], "background_scale": 1e13}, r"background_scale\.0: Input"),
        ({"names": [1]}, r"names\.0: Input should be a valid string"),
        ({"counts": [1, 10**400, 3]}, r"counts\.0\.1: Input"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(InputError, match=f"^{message}") as caught:
        records(**(GOOD | changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null"])
def test_bad_json_is_named(body):
    with pytest.raises(InputError, match=r"^body: "):
        records_of_counts(body, SPEC, 1)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"exposure_s": 1, "counts": [[%s1]]}' % (b"1," * 100_000), "counts: 100001 channels"),
        (b'{"counts": [%s1]}' % (b'"3",' * 50_000), r"counts\.0\.0: Input should be"),
        (b'{"counts": [%s"3"]}' % (b"1," * 100_000), r"counts\.0\.100000: Input should be"),
        (b'{"counts": [%s1]}' % (b"[]," * 60_000), "counts: 60001 spectra"),
        (b'{"counts": [1], "exposure_s": [%s1]}' % (b"-1," * 60_000), r"exposure_s\.0: Input"),
        (b'{"counts": [1], "exposure_s": 1, "names": [%s1]}' % (b"1," * 100_000), r"names\.0: "),
        (b'{"counts": [1], "exposure_s": 1, "energy_edges": [%s1]}' % (b"-1," * 60_000),
         r"energy_edges\.0: "),
        (b'{%s"counts": 1}' % b"".join(b'"a%d":1,' % i for i in range(20_000)), "a0: Extra inputs"),
    ],
)  # fmt: skip
def test_bodies_take_few_times_their_size_in_memory(body, line):
    """Also where every value of many is bad, and only the first is told."""
    tracemalloc.start()
    with pytest.raises(InputError, match=f"^{line}"):
        records_of_counts(body, SPEC, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * len(body)


def test_so_many_spectra_are_read():
    assert len(records(counts=[[1, 2, 3]] * 3, exposure_s=1)) == 3


def test_counts_are_read_to_their_last_digit():
    record = records(counts=[0, 1e12, 0.1], exposure_s=1e-6)
    assert record.batch.counts_BC.tolist() == torch.tensor([[0, 1e12, 0.1]]).tolist()


@pytest.mark.parametrize(
    ("edges", "fine"),
    [([0.5, 1.5], True), ([7.0, 8.98], True), ([7.0, 9.0], False), ([0.5, 1.49], False)],
)
def test_a_channel_lies_where_its_centre_does(edges, fine):
    """From 1 keV to below 8."""
    if fine:
        record = records(counts=[5], energy_edges=edges, exposure_s=1)
        assert record.batch.counts_BC.sum() == 5
        return
    with pytest.raises(InputError, match=r"^energy_edges: no channel within 1-8 keV; give them in"):
        records(counts=[5], energy_edges=edges, exposure_s=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": [-0.5, 2, 3]}, r"counts\.0\.0: Input should be greater than or equal to 0"),
        ({"counts": [0, 0.5, -1]}, r"counts\.0\.2: Input should be greater than or equal to 0"),
        ({"counts": [1e12, 1, 1.1e12]}, r"counts\.0\.2: Input should be less than or equal"),
        ({"counts": [[1, 2, 3], [1, 2, -1]]}, r"counts\.1\.2: Input should be greater"),
        ({"counts": [[1, 2, 3], [1, 2, 3], [1, "x", 3]]}, r"counts\.2\.1: Input should be a valid"),
        ({"background": [[1, 2, 3], [1, -2, 3]], "background_scale": 1}, r"background\.1\.1: "),
        ({"background": [1, 2, 3], "background_scale": -0.5}, r"background_scale\.0: Input should"),
        ({"exposure_s": float("nan")}, r"exposure_s\.0: Input should be a finite number"),
        ({"energy_edges": [1, float("nan"), 3, 4]}, r"energy_edges\.1: Input should be a finite"),
        ({"background": [1, 2, 3], "background_scale": float("nan")},
         r"background_scale\.0: Input should be a finite number"),
        ({"energy_edges": [4, 3, 2, 1]}, "energy_edges: must ascend; give them in keV"),
        ({"energy_edges": [-0.5, 2, 3, 4]}, r"energy_edges\.0: Input should be greater"),
        ({"energy_edges": [1, 2, 3, 1000001]}, r"energy_edges\.3: Input should be less than"),
        ({"energy_edges": [1, 2, 3, 4, 5]},
         "energy_edges: 5 edges of 3 channels; give one more than channels"),
        ({"names": ["a" * 201]}, r"names\.0: String should have at most 200 characters"),
        ({"n" * 60: 1}, "n{50}: Extra inputs are not permitted$"),
        ({"": 1}, "body: Extra inputs are not permitted$"),
        ({"counts": [1, 2, 3, 4]}, "counts: 4 channels, the model's grid has 3; send energy_edges"),
        ({"exposure_s": [1, 2, 3]}, "exposure_s: 3 values for 1 spectra; give one, or one for"),
        ({"names": []}, "names: 0 for 1 spectra; give one for each"),
    ],
)  # fmt: skip
def test_limits_of_values_are_told_at_their_place(changes, message):
    with pytest.raises(InputError, match=f"^{message}"):
        records(**(GOOD | changes))


def test_values_at_their_limits_are_taken():
    record = records(
        counts=[0, 0.5, 1e12], energy_edges=[0, 3, 5, 1e6], exposure_s=1e12, names=["a" * 200],
        background=[0, 0.5, 1e12], background_scale=0,
    )  # fmt: skip
    assert record.names == ["a" * 200]
    assert record.batch.exposure_B.item() == pytest.approx(1e12)
    assert record.batch.background_scale_B.item() == 0
    record = records(**GOOD, background=[1, 2, 3], background_scale=0.5)
    assert record.batch.background_scale_B.item() == 0.5
    assert record.batch.background_BC.tolist() == [[1, 2, 3]]


def test_one_value_stands_for_all_spectra():
    two = records(
        counts=[[1, 2, 3], [4, 5, 6]], background=[[0, 0, 1], [1, 0, 0]], background_scale=0.5,
        exposure_s=7,
    )  # fmt: skip
    assert two.batch.exposure_B.tolist() == [7, 7]
    assert two.batch.background_scale_B.tolist() == [0.5, 0.5]
    assert two.batch.background_BC.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert two.names == ["0", "1"]


@pytest.mark.parametrize(
    ("edges", "covered"),
    [
        ([1, 2, 4, 8], True),
        ([1, 2, 3, 3.9], False),
        ([2.5, 3, 4, 8], False),
        ([0.9, 2, 4, 9], True),
    ],
)
def test_grids_are_flagged_that_end_within_the_model_s(edges, covered):
    record = records(counts=[1, 2, 3], energy_edges=edges, exposure_s=1)
    assert record.flags == [() if covered else ("band_not_covered",)]
