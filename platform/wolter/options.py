"""Options that commands of several wings share, and how commands account for files."""

from collections.abc import Sequence
from pathlib import Path

from wolter.errors import InputError

SHOWN = 10  # rejects that are printed


def numbers(option: str, text: str, example: str) -> tuple[float, float]:
    """Parse `LOW,HIGH`, or one number for both.

    Raises:
        InputError: it is neither.
    """
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        form = "SECONDS or LOW,HIGH" if option == "exposure" else "LOW,HIGH"
        raise InputError(f"--{option} {text}: give {form}, e.g. {example}")
    return values[0], values[-1]


def print_rejects(rejects: Sequence[tuple[str, str]], rest: Path) -> None:
    """Print the first files that an ingest rejected, with the reasons, and the file of the rest."""
    for file, reason in rejects[:SHOWN]:
        print(f"  rejected {reason if reason.startswith(file) else f'{file}: {reason}'}")
    if len(rejects) > SHOWN:
        print(f"  and {len(rejects) - SHOWN} more in {rest}")
