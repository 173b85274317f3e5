"""Identifiers of the IVOA under which a catalogue is published."""

import re

from wolter.errors import InputError

AUTHORITY = "wolter.invalid"  # of nobody: no name ends in .invalid (RFC 2606)
KEY = "wolter"  # of the service, below the authority
_AUTHORITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,}")


def identifier(authority: str = AUTHORITY) -> str:
    """IVOID of the service, below a naming authority (IVOA Identifiers 2.0)."""
    return f"ivo://{authority}/{KEY}"


def check_authority(authority: str) -> None:
    """Check the name of a naming authority.

    Raises:
        InputError: it is none.
    """
    if not _AUTHORITY.fullmatch(authority):
        raise InputError(
            f"authority {authority[:64]!r}: give the naming authority that is registered with the "
            "IVOA, such as example.org"
        )
