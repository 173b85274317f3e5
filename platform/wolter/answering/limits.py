"""Limits of one request; without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one request.

    Attributes:
        max_records: records a request in JSON.
        max_values: numbers of an answer in the outputs that have axes.
        max_elements: elements of a record that may have any size, such as pixels.
        job_elements: elements of a record that is answered while its client waits; one of more
            becomes a job.
        max_refined: records a request whose answers are refined, seconds each.
        refine_s: longest time that a request spends on refining answers unasked; later ones keep
            the network's answer and its flags.
    """

    max_records: int = 10_000
    max_values: int = 1_000_000
    max_elements: int = 2048 * 2048
    job_elements: int = 1024 * 1024
    max_refined: int = 16
    refine_s: float = 30.0
