"""The platform knows records, outputs and tasks: no wing, no family, no metric by name."""

import io
import re
import tokenize
from pathlib import Path

import pytest

import wolter
from wolter import family as families
from wolter.data.record_kinds import names as wings

ROOT = Path(wolter.__file__).parent
# What belongs to the platform: modules, and packages with all that is in them.
PLATFORM = (
    "answering",
    "cli.py",
    "commands",
    "data",
    "family.py",
    "home.py",
    "outputs.py",
    "registry",
    "report",
    "serve",
    "task.py",
    "train",
    "tune",
)
ALLOWED = {
    "commands/bench.py": "names the races of benchmarks/",
    "data/out_paths.py": "OGIP's own words in FITS headers",
    "serve/web/datalink.py": "the words for links of the Virtual Observatory",
    "registry/migrations.py": "brings forward what earlier layouts named",
}
# Names of families, metrics and records that are words of statistics or of plain English, too.
ENGLISH = {"deviance", "image", "information", "posterior", "spectrum"}


def modules() -> list[Path]:
    return sorted(
        file
        for name in PLATFORM
        for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    )


def forbidden() -> set[str]:
    """Words of wings, families and metrics, in the spelling of identifiers."""
    kinds = {*wings(), "spectrum", "image"}
    loaded = [families.load(name) for name in families.names()]
    own = {family.name for family in loaded}
    metrics = {metric.name for family in loaded for metric in family.metrics}
    return kinds | own | metrics


def words(file: Path) -> list[tuple[int, str]]:
    """Identifiers, and words of strings that are no docstrings, of a module."""
    found = []
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        documents = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT)
        if token.type == tokenize.NAME or (token.type == tokenize.STRING and not documents):
            found += [(token.start[0], w) for w in re.findall(r"[A-Za-z_]\w*", token.string)]
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.DEDENT):
            before = token.type
    return found


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_of_the_platform_names_a_wing_a_family_or_a_metric(file):
    if str(file.relative_to(ROOT)) in ALLOWED:
        return
    banned = forbidden()
    named = [
        f"line {line}: {word}"
        for line, word in words(file)
        if banned & {word, word.lower(), *word.lower().split("_")}
    ]
    assert named == []


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_docstring_or_comment_does_either(file):
    if str(file.relative_to(ROOT)) in ALLOWED:
        return
    banned = forbidden() - ENGLISH
    named = [
        f"line {number}: {word}"
        for number, line in enumerate(file.read_text().splitlines(), 1)
        for word in re.findall(r"[A-Za-z_]\w*", line)
        if word.lower() in banned
    ]
    assert named == []


def test_the_platform_is_there():
    assert len(modules()) > 40
    assert {"spectra", "images", "mlp", "mfe_percent", "image"} <= forbidden()


def test_words_are_found_where_they_stand(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        '"""Spectra."""\n\nimages = {"kind": "spectra"}\n\n\ndef f():\n    """mlp."""\n'
    )
    found = [word for _, word in words(file)]
    assert "spectra" in found
    assert "images" in found
    assert "Spectra" not in found
    assert "mlp" not in found
