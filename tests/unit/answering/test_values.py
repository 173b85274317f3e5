import pytest
import torch

from wolter.answering.messages import one_line
from wolter.answering.values import LEAST_S, MOST, check_bounds
from wolter.errors import InputError


def test_values_are_bounded_at_both_ends():
    check_bounds("a", "x", torch.tensor([0.0, MOST]), 0.0)
    check_bounds("a", "x", LEAST_S, least=LEAST_S)
    for bad in (-1e-9, 1.01 * MOST, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"^a: x of "):
            check_bounds("a", "x", torch.tensor([1.0, bad], dtype=torch.float64))
    with pytest.raises(InputError, match=r"^a: x of "):
        check_bounds("a", "x", 0.99 * LEAST_S, least=LEAST_S)


def test_the_first_bad_value_is_told():
    def told(*values, **options):
        with pytest.raises(InputError) as caught:
            check_bounds("a", "counts", *values, **options)
        return str(caught.value)

    check_bounds("a", "counts", torch.tensor([0.0, 0.5]), 0.25)
    one = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    two = torch.tensor([[1.0, 2e13], [-5.0, -6.0]])
    assert told(one) == "a: counts of -4; 0 to 1e+12 are taken"
    assert told(two) == "a: counts of 2e+13; 0 to 1e+12 are taken"
    assert told(torch.ones(2), two, one) == "a: counts of 2e+13; 0 to 1e+12 are taken"
    assert told(0.5, least=0.75) == "a: counts of 0.5; 0.75 to 1e+12 are taken"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.5, True),
        (float("inf"), True),
        ("x" * 49, True),
        ("x" * 50, False),
        (10**50 - 1, True),
        (10**50, False),
        ([1], False),
        (None, False),
    ],
)
def test_values_are_told_where_they_are_short(value, told):
    error = {"loc": ("body", "counts", 3), "msg": "a  number", "input": value}
    line = one_line([error, {}])
    assert line == "counts.3: a number" + (f" (got {value!r})" if told else "")


def test_lines_of_values_are_not_endless():
    line = one_line([{"loc": ("body", "x" * 600), "msg": "bad", "input": None}])
    assert line == "x" * 500


@pytest.mark.parametrize(
    ("loc", "place"), [(("body",), "body"), (("query", "a", 1), "a.1"), (("body", "b"), "b")]
)
def test_places_of_values_are_told_as_the_client_knows_them(loc, place):
    assert one_line([{"loc": loc, "msg": "bad", "input": None}]) == f"{place}: bad"


def test_types_are_told_as_json_names_them():
    for said, told in (("a valid list", "a valid array"), ("a valid dictionary or x", "an object")):
        error = {"loc": ("body",), "msg": f"Input should be {said}", "input": None}
        assert one_line([error]) == f"body: Input should be {told}"
