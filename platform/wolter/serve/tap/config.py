"""Limits of the TAP service."""

from dataclasses import dataclass, field

from wolter.catalogue.adql.jobs import Limits
from wolter.catalogue.publisher import AUTHORITY


@dataclass(frozen=True)
class TapConfig:
    """Limits of the TAP service.

    Attributes:
        sync: bounds of a query that is answered at once.
        job: bounds of a query that runs as a job.
        rows: rows of an answer where the request has no MAXREC.
        at_once: queries answered at the same time.
        waiting: queries that wait for one of these; further ones are told 429.
        jobs_at_once: jobs run at the same time.
        jobs_waiting: jobs that are queued; further ones are told 429.
        jobs_kept: jobs that are kept, in whatever phase; further ones are told 429.
        jobs_mb: their files and answers on disk, MB; with more, further ones are told 429.
        upload_rows: most rows of an uploaded table.
        body_mb: largest request, MB.
        wait_s: longest WAIT.
        keep_s: how long a job is kept unless the request says otherwise.
        keep_most_s: how long it is kept at most.
        authority: naming authority of the publisher, registered with the IVOA.
        base_url: public URL of the service; empty for the one of each request.
    """

    sync: Limits = field(default_factory=lambda: Limits(seconds=30.0, cost=2e8))
    job: Limits = field(default_factory=lambda: Limits(seconds=1800.0))
    rows: int = 20_000
    at_once: int = 2
    waiting: int = 16
    jobs_at_once: int = 1
    jobs_waiting: int = 200
    jobs_kept: int = 2_000
    jobs_mb: float = 20_000.0
    upload_rows: int = 100_000
    body_mb: int = 64
    wait_s: float = 20.0
    keep_s: float = 3 * 86400.0
    keep_most_s: float = 14 * 86400.0
    authority: str = AUTHORITY
    base_url: str = ""
