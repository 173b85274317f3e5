"""Both applications keep what their OpenAPI documents say, for requests made to test them."""

import subprocess
import sys


def test_schemathesis_finds_no_fault(alone, tmp_path):
    words = ["run", f"{alone}/openapi.json", "--checks", "all", "--phases", "fuzzing"]
    few = [
        "--max-examples",
        "3",
        "--seed",
        "1",
        "--no-color",
        "--suppress-health-check=all",
        "-H",
        "x-api-key: of schemathesis",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words, *few],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert "Schemathesis" in done.stdout
