"""The unit tests of what changed: prints their files, for `make check`.

tests/unit mirrors the package, so that `platform/wolter/xray/ogip/pha.py` is tested by
`tests/unit/xray/ogip/test_pha*.py`. What changed is what git says since the main branch, or since
the last commit there, with what is not committed.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.split("\0" if "-z" in words else None) if done.returncode == 0 else []


def changed() -> set[str]:
    """Paths of files that differ from the main branch, or are new."""
    head = next(iter(_git("rev-parse", "HEAD")), "HEAD")
    bases = (next(iter(_git("merge-base", "HEAD", main)), head) for main in ("origin/main", "main"))
    base = next((each for each in bases if each != head), "HEAD~1")
    listed = _git("diff", "--name-only", "-z", base)
    return {name for name in (*listed, *_git("ls-files", "-z", "-o", "--exclude-standard")) if name}


def unit_tests_of(path: str) -> list[Path]:
    """Unit tests of one file; a test is its own."""
    file = Path(path)
    if file.suffix != ".py":
        return []
    if file.name.startswith("test_"):
        return [ROOT / file]
    for package, room in (("platform/wolter", ""), ("models", "models"), ("jobs", "jobs")):
        if file.is_relative_to(package):
            folder = ROOT / "tests" / "unit" / room / file.relative_to(package).parent
            return sorted(folder.glob(f"test_{file.stem.removeprefix('_')}*.py"))
    return []


def main() -> int:
    """Print the files, one a line."""
    found = {test for path in changed() for test in unit_tests_of(path) if test.is_file()}
    print("\n".join(str(test.relative_to(ROOT)) for test in sorted(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
