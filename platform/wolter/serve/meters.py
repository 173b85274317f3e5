"""Metrics of requests by route, model and version, in Prometheus' text format."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 20, 60, 120)


class Meters:
    """Counters of the requests of one replica.

    Args:
        part: its application.
    """

    def __init__(self, part: str) -> None:
        self.part = part
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "wolter_requests",
            "Requests that were answered",
            ("application", "route", "status", "model", "version", "replica"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "wolter_request_seconds",
            "Time until a request was answered",
            ("application", "route", "replica"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.replica = ""

    def name(self, replica: str) -> None:
        """Set the label of the replica."""
        self.replica = replica

    def count(self, route: str, status: int, model: tuple[str, str], seconds: float) -> None:
        """Count a request.

        Args:
            route: template of its path.
            status: of the answer.
            model: name and version that answered; empty where none did.
            seconds: until it was answered.
        """
        self._requests.labels(self.part, route, str(status), *model, self.replica).inc()
        self._seconds.labels(self.part, route, self.replica).observe(seconds)

    def text(self) -> str:
        """All counts."""
        return generate_latest(self._registry).decode()


def merged(texts: Iterable[str]) -> str:
    """Join texts of several replicas: each metric is described once, then all its samples."""
    described: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for text in texts:
        name = ""
        for line in text.splitlines():
            if line.startswith("#"):
                name = line.split(" ", 3)[2]
                lines = described.setdefault(name, [])
                if line not in lines:
                    lines.append(line)
            elif line:
                samples.setdefault(name, []).append(line)
    blocks = ("\n".join([*lines, *samples.get(name, ())]) for name, lines in described.items())
    return "\n".join(blocks) + "\n" if described else ""
