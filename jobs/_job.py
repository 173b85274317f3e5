"""Run one command of wolter as a Ray job."""

import sys

from wolter.cli import main


def run(*words: str, otherwise: str = "") -> None:
    """Run a command with the script's own arguments, and end the process with its exit code.

    Args:
        words: of the command.
        otherwise: the argument where the script was given none; empty for none.
    """
    given = sys.argv[1:] or [otherwise] * bool(otherwise)
    sys.exit(main([*words, *given]))
