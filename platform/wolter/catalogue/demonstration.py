"""Demonstration release: 20,000 simulated sources, made in seconds from files of the package.

Every row says that it is simulated, by the name of the release.
"""

import subprocess
import sys
from pathlib import Path

from wolter.catalogue import release
from wolter.data.out_paths import check_folder
from wolter.errors import FailedError

NAME = "simulated-demonstration"


def make_current(root: Path | None = None) -> bool:
    """Let the demonstration answer where no release is current; return whether it does now.

    Raises:
        InputError: the folder cannot be written to.
        FailedError: the demonstration could not be made.
    """
    if release.current(root) is not None:
        return False
    return release.make_first(ensure(root).name, root)  # one may be current by now


def ensure(root: Path | None = None) -> Path:
    """Folder of the demonstration; where it is missing, a process of its own makes it.

    Raises:
        InputError: the folder cannot be written to.
        FailedError: it could not be made.
    """
    path = release.folder(root) / NAME
    if not (path / release.CHECKSUMS).is_file():
        where = str(check_folder(release.folder(root)).absolute())
        command = [sys.executable, "-m", "wolter.catalogue.demonstration_files", where]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not (path / release.CHECKSUMS).is_file():
            why = (done.stderr.strip().splitlines() or ["no word why"])[-1]
            raise FailedError(f"the demonstration could not be made in {where}: {why}")
    return path
