"""Times that all parts of the server agree on."""

from datetime import UTC, datetime

REQUEST_TIMEOUT_S = 120.0  # longest time to an answer
PULSE_S = 1.0  # between two reports of a replica
SILENT_S = 10.0  # after which a replica that reports nothing is taken for gone


def time_text(seconds: float) -> str:
    """A time in ISO 8601, UTC.

    Args:
        seconds: of the epoch.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
