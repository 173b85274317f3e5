"""Families that the arguments of a command name."""

import pytest

from wolter.commands.family_options import named_family
from wolter.errors import InputError


@pytest.mark.parametrize(
    "arguments",
    [("mlp", "--n", "3"), ("mlp@7", "mlp@8"), ("--n", "3", "mlp@champion")],
)
def test_a_family_may_be_named_with_a_version(arguments):
    family = named_family(arguments)
    assert family is not None
    assert family.name == "mlp"


def test_what_is_no_family_is_told():
    assert named_family(("--n", "3")) is None
    with pytest.raises(InputError, match="unknown family 'multilayer'"):
        named_family(("multilayer@3",))
