import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolter import config
from wolter.errors import InputError


@dataclass(frozen=True)
class Band:
    low: float = 0.3
    high: float | None = None


@dataclass(frozen=True)
class Run:
    n: int
    name: str = "run"
    resume: bool = False
    rate: float = 1e-3
    gpu: Literal["auto"] | bool = "auto"
    size: Literal["small", "large"] = "small"
    edges: tuple[float, ...] = (0.3, 10.0)
    components: tuple[str, ...] = ("powerlaw",)
    band: Band = Band()
    bands: tuple[Band, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)


numbers = st.floats(allow_nan=False, allow_infinity=False)
bands = st.builds(Band, low=numbers, high=st.none() | numbers)
runs = st.builds(
    Run,
    n=st.integers(),
    name=st.text(),
    resume=st.booleans(),
    rate=numbers,
    gpu=st.sampled_from(["auto", True, False]),
    size=st.sampled_from(["small", "large"]),
    edges=st.lists(numbers).map(tuple),
    components=st.lists(st.text()).map(tuple),
    band=bands,
    bands=st.lists(bands).map(tuple),
    weights=st.dictionaries(st.text(), numbers),
)


@given(runs)
def test_every_config_comes_back_from_its_json_text(run: Run) -> None:
    assert config.from_dict(Run, json.loads(json.dumps(config.to_dict(run)))) == run


def test_saved_config_is_loaded(tmp_path: Path) -> None:
    run = Run(n=3, name="σ", band=Band(high=2.0))
    config.save(run, tmp_path / "run.json")
    assert config.load(Run, tmp_path / "run.json") == run


def test_toml_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('n = 3\nrate = 1\ncomponents = ["bbody"]\n[band]\nlow = 0.5\n')
    assert config.load(Run, path) == Run(n=3, rate=1.0, components=("bbody",), band=Band(low=0.5))


def test_an_integer_becomes_a_float_where_one_belongs() -> None:
    assert type(config.from_dict(Run, {"n": 1, "rate": 2}).rate) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Run: missing key at n"),
        ({"n": 1, "epochz": 2}, "Run: unknown key epochz (known keys: n, name, resume, rate"),
        ({"n": 1, "band": {"hi": 2}}, "unknown key hi (known keys: low, high) at band"),
        ({"n": 1, "bands": [{}, {"lo": 1}]}, "unknown key lo (known keys: low, high) at bands[1]"),
        ({"n": 3.7}, "3.7 is not of type int at n"),
        ({"n": "3"}, "'3' is not of type int at n"),
        ({"n": True}, "True is not of type int at n"),
        ({"n": 1, "resume": "false"}, "'false' is not of type bool at resume"),
        ({"n": 1, "rate": "fast"}, "'fast' is not of type float at rate"),
        ({"n": 1, "name": 3}, "3 is not of type str at name"),
        ({"n": 1, "gpu": "often"}, "at gpu"),
        ({"n": 1, "size": "huge"}, "huge not in literal Literal['small', 'large'] at size"),
        ({"n": 1, "edges": [1, "a"]}, "'a' is not of type float at edges[1]"),
        ({"n": 1, "edges": 3.0}, "not a valid tuple[float, ...] at edges"),
        ({"n": 1, "components": "bbody"}, "'bbody' is not a list of strings at components"),
        ({"n": 1, "band": 3}, "not a valid Band at band"),
        ([1], "[1] is not a table of keys and values"),
    ],
)
def test_wrong_values_are_named_in_one_line(values: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        config.from_dict(Run, values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", None, "cannot be read (No such file or directory)"),
        ("run.json", b"{", "not valid JSON"),
        ("run.toml", b"n = ", "not valid TOML"),
        ("run.json", b"\xff\xfe", "not valid JSON"),
        ("run.json", b'{"n": 1, "m": 2}', "unknown key m"),
    ],
)
def test_bad_files_are_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="run") as caught:
        config.load(Run, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unwritable_output_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no_folder/run.json: cannot be written"):
        config.save(Run(n=1), tmp_path / "no_folder" / "run.json")


def test_input_errors_are_value_errors() -> None:
    assert issubclass(InputError, ValueError)
