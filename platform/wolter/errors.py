"""Errors that users see."""


class InputError(ValueError):
    """Bad input: one line that names the file or value and the remedy.

    The command line prints the message and exits with code 2; batch jobs write it to
    `rejects.parquet`.
    """
