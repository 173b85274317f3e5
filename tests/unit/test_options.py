from pathlib import Path

import pytest

from wolter.errors import InputError
from wolter.options import numbers, print_rejects


def test_one_number_stands_for_both_ends():
    assert numbers("band", "0.5,2", "0.5,2") == (0.5, 2.0)
    assert numbers("exposure", "25000", "25000") == (25_000.0, 25_000.0)


@pytest.mark.parametrize(
    ("option", "text", "form"),
    [("exposure", "long", "SECONDS or LOW,HIGH"), ("band", "1,2,3", "LOW,HIGH")],
)
def test_other_texts_are_refused_with_an_example(option, text, form):
    with pytest.raises(InputError, match=f"--{option} {text}: give {form}, e.g. 1,2"):
        numbers(option, text, "1,2")


def test_the_first_rejects_are_printed_with_their_reasons(capsys):
    rest = Path("out/rejects.parquet")
    print_rejects([("a.pha", "no counts"), ("b.pha", "b.pha: no such file")], rest)
    assert capsys.readouterr().out.splitlines() == [
        "  rejected a.pha: no counts",
        "  rejected b.pha: no such file",
    ]
    print_rejects([(f"{i}.pha", "no counts") for i in range(13)], rest)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "  and 3 more in out/rejects.parquet"
