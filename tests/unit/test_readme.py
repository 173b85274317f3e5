import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_example_runs_and_finds_the_slope() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "slope 1.80\n"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_it_names_exists(page: str) -> None:
    """Links of the pages of docs/ are checked where the site is built."""
    files = re.findall(r"\]\(([^)h][^)]*)\)", (ROOT / page).read_text())
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
