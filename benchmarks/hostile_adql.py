"""Hostile ADQL: how each query ends, how long it takes and what memory its process needs."""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from tests.releases import random_release
from tests.unit.catalogue.adql.test_refused import HOSTILE

from wolter.catalogue.adql.jobs import Job, Limits
from wolter.catalogue.adql.process import Processes

SECONDS, MEMORY_MB, TEMP_MB = 5.0, 256, 256
DEAR = (
    "SELECT COUNT(*) FROM source AS a, source AS b, source AS c",
    "SELECT a.ra FROM source AS a, source AS b ORDER BY SIN(a.ra * b.ra)",
    "SELECT COUNT(DISTINCT a.ra * b.ra) FROM source AS a, source AS b",
    "SELECT IVO_STRING_AGG(a.name, ',') FROM source AS a, source AS b",
    "SELECT a.name || b.name || c.name FROM source AS a, source AS b, source AS c",
)
"""Queries that are answered, but for what they cost."""


async def table(n: int) -> list[dict[str, object]]:
    processes, found = Processes(), []
    with tempfile.TemporaryDirectory() as folder:
        path = random_release(Path(folder) / "releases", n)
        await processes.start()
        for number, adql in enumerate((*HOSTILE, *DEAR)):
            place = Path(folder) / str(number)
            place.mkdir()
            limits = Limits(seconds=SECONDS, memory_mb=MEMORY_MB, temp_mb=TEMP_MB)
            started = time.monotonic()
            answer, used = await processes.run(Job(adql, str(path), "csv", 1000, "", limits), place)
            found.append(
                {
                    "query": adql[:60],
                    "status": answer.status,
                    "why": answer.why,
                    "line": answer.error[:100],
                    "wall_s": round(time.monotonic() - started, 3),
                    "cpu_s": round(used.cpu_s, 3),
                    "memory_mb": round(used.memory_mb),
                }
            )
        await processes.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="sources")
    parser.add_argument("--json", type=Path, help="where the table goes")
    given = parser.parse_args()
    rows = asyncio.run(table(given.n))
    summary = {
        "queries": len(rows),
        "answered": [row["query"] for row in rows[: len(HOSTILE)] if row["status"] != "ERROR"],
        "longest_s": max(float(str(row["wall_s"])) for row in rows),
        "longest_refused_s": max(float(str(row["wall_s"])) for row in rows[: len(HOSTILE)]),
        "most_memory_mb": max(int(str(row["memory_mb"])) for row in rows),
        "limit_s": SECONDS,
        "rows": rows,
    }
    text = json.dumps(summary, indent=1)
    if given.json:
        given.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
