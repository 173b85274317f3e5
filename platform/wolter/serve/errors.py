"""Errors that decide the status of an answer."""

from wolter.errors import InputError


class TooLargeError(InputError):
    """A request beyond the limits: 413."""


class UnavailableError(Exception):
    """What an answer needs does not work now, through no fault of the request: 503."""
