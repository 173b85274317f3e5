"""Server settings: models, address, limits."""

from dataclasses import dataclass, field

from wolter.answering.limits import Limits
from wolter.catalogue.publisher import AUTHORITY, check_authority
from wolter.errors import InputError

MB = 2**20


@dataclass(frozen=True)
class ServeConfig(Limits):
    """Server settings: models, address, limits.

    Attributes:
        host: address to listen on; 0.0.0.0 for every network.
        port: port to listen on; 0 takes a free one.
        models: checkpoint folder of each model to serve; empty serves all champions of the
            registry.
        applications: what to serve beside the page: KIND-WHAT for the models of a task, catalogue,
            cone, adql; empty for all.
        replicas: processes of each application; with two, one that ends loses no request.
        parsers: processes of each replica that read uploads.
        max_file_mb: largest upload, as sent.
        max_inflated_mb: largest sum of a request's uploads once inflated.
        max_request_mb: largest request of files.
        max_json_mb: largest request in JSON.
        parse_cpu_s: processor time to read one record with its files.
        request_cpu_s: processor time to read all files of a request.
        parse_timeout_s: time after which a reader is taken for lost, and replaced; a busy machine
            alone must not reach it.
        parse_memory_mb: memory to read one record with its files.
        max_ongoing: requests at once in a replica.
        max_queued: requests that wait in a replica; further ones are answered 429.
        max_dear: requests at once, in a replica for those that take seconds each.
        max_dear_queued: requests that wait there; further ones are answered 429.
        max_jobs: jobs that wait; further ones are answered 429.
        job_s: longest time of a job.
        jobs_mb: files and answers of jobs on disk; with more, further ones are answered 429.
        jobs_keep_s: time after which a job is deleted with its answer.
        anonymous: units a minute of a client without a key; 0 for no limit. A request costs one,
            a look-up in the catalogue a fiftieth, one that takes seconds 21, a job 20 more for each
            further 2^20 pixels.
        keys_only: refuse clients without a key, see `wolter keys add`.
        cors: origins whose pages may ask from a browser; "*" for all.
        access_log: file of a line of JSON a request.
        authority: naming authority of the catalogue's publisher, registered with the IVOA.
        publisher: name of the publisher, for registries.
        cores: processor cores that a network may use; 0 for all.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    models: dict[str, str] = field(default_factory=dict)
    applications: tuple[str, ...] = ()
    replicas: int = 1
    parsers: int = 2
    max_file_mb: float = 20.0
    max_inflated_mb: float = 200.0
    max_request_mb: float = 100.0
    max_json_mb: float = 16.0
    parse_cpu_s: int = 10
    request_cpu_s: float = 60.0
    parse_timeout_s: float = 60.0
    parse_memory_mb: int = 2_000
    max_ongoing: int = 32
    max_queued: int = 128
    max_dear: int = 1
    max_dear_queued: int = 4
    max_jobs: int = 20
    job_s: float = 3_600.0
    jobs_mb: float = 4_000.0
    jobs_keep_s: float = 86_400.0
    anonymous: float = 0.0
    keys_only: bool = False
    cors: tuple[str, ...] = ("*",)
    access_log: str = ""
    authority: str = AUTHORITY
    publisher: str = "not given"
    cores: int = 0

    def serves(self, application: str) -> bool:
        """True if an application is to be served."""
        return not self.applications or application in self.applications

    def __post_init__(self) -> None:
        """Check the values."""
        check_authority(self.authority)
        if not 0 <= self.port <= 65_535:
            raise InputError(f"port {self.port}: choose 1 to 65535, or 0 for any free one")
        if min(self.replicas, self.parsers, self.max_ongoing, self.parse_cpu_s) < 1:
            raise InputError(
                "serve: replicas, parsers, max_ongoing and parse_cpu_s must be 1 or more"
            )
        if self.max_dear < 1:
            raise InputError("serve: max_dear must be 1 or more")
        if min(self.max_queued, self.max_dear_queued, self.cores, self.anonymous) < 0:
            raise InputError(
                "serve: max_queued, max_dear_queued, cores and anonymous must be 0 or more"
            )
        if min(self.max_jobs, self.job_s, self.jobs_mb, self.jobs_keep_s) <= 0:
            raise InputError("serve: max_jobs, job_s, jobs_mb and jobs_keep_s must be more than 0")
