"""What to serve, where, and within which limits."""

from dataclasses import dataclass, field

from wolter.errors import InputError

MB = 2**20


@dataclass(frozen=True)
class ServeConfig:
    """What to serve, where, and within which limits.

    Attributes:
        host: address to listen on; 0.0.0.0 for every network.
        port: port to listen on; 0 takes a free one.
        models: checkpoint folder of each family to serve; empty serves all champions of the
            registry.
        replicas: processes that answer, each with all models.
        parsers: processes of each replica that read uploads.
        max_file_mb: largest upload, as sent.
        max_inflated_mb: largest upload once inflated.
        max_request_mb: largest request.
        max_spectra: spectra a request.
        max_pixels: of an image to enhance.
        max_refined: spectra a request whose posteriors are refined, seconds each.
        parse_timeout_s: longest time to read one spectrum with its files.
        parse_memory_mb: memory to read one spectrum with its files.
        max_ongoing: requests at once in a replica.
        max_queued: requests that wait for a replica; further ones are answered 429.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    models: dict[str, str] = field(default_factory=dict)
    replicas: int = 1
    parsers: int = 2
    max_file_mb: float = 20.0
    max_inflated_mb: float = 200.0
    max_request_mb: float = 100.0
    max_spectra: int = 10_000
    max_pixels: int = 2048 * 2048
    max_refined: int = 16
    parse_timeout_s: float = 10.0
    parse_memory_mb: int = 2_000
    max_ongoing: int = 32
    max_queued: int = 128

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.port <= 65_535:
            raise InputError(f"port {self.port}: choose 1 to 65535, or 0 for any free one")
        if min(self.replicas, self.parsers, self.max_ongoing) < 1:
            raise InputError("serve: replicas, parsers and max_ongoing must be 1 or more")
