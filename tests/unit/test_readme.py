import re
import subprocess
import sys
from pathlib import Path

from wolter import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_example_runs_and_finds_the_slope():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "slope 1.80\n"


def test_every_command_and_file_that_it_names_exists():
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    names = set(re.findall(r"^wolter (\w+(?: (?:spectra|images))?)", shell, re.MULTILINE))
    assert names
    assert names <= set(cli.COMMANDS)
    files = [*re.findall(r"\]\(([^)h][^)]*)\)", README), *re.findall(r"jobs/\w+\.py", README)]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
