"""Times that all parts of the server agree on."""

REQUEST_TIMEOUT_S = 120.0  # longest time to an answer
PULSE_S = 1.0  # between two reports of a replica
SILENT_S = 10.0  # after which a replica that reports nothing is taken for gone
