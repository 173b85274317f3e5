"""Run one query in its own process: parse, ask, write the answer, within its bounds."""

import json
import logging
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from wolter import config as configs
from wolter import priority
from wolter.catalogue import formats
from wolter.catalogue import release as releases
from wolter.catalogue.adql import database as databases
from wolter.catalogue.adql import jobs, schema, uploads
from wolter.catalogue.adql.answers import described
from wolter.catalogue.adql.jobs import Answer, Job, Limits, Why
from wolter.catalogue.adql.names import UPLOADS, Named, Tables
from wolter.catalogue.adql.translate import translate
from wolter.errors import InputError, printable

MB = 2**20
_RECURSION = 5_000  # the bounds of a query's text are below it
_DEAR = "run it as an asynchronous job, at /tap/async"


class _RefusedError(Exception):
    """A query that is not answered: why, and one line."""

    def __init__(self, why: Why, line: str) -> None:
        self.why = why
        super().__init__(line)


def run(folder: Path) -> None:
    """Run the query of a folder; its answer is there afterwards, whatever happens."""
    started = time.monotonic()
    job = jobs.get(folder)
    confine(job.limits)
    try:
        answer = _answer(job, folder, started + job.limits.seconds)
    except _RefusedError as error:
        answer = Answer("ERROR", error=str(error), why=error.why)
    except InputError as error:
        answer = Answer("ERROR", error=str(error), why="refused")
    except (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        line = f"the query takes more than {job.limits.memory_mb} MB of memory; ask for less"
        answer = Answer("ERROR", error=line, why="size")
    except duckdb.InterruptException:
        answer = Answer("ERROR", error=late(job.limits), why="time")
    except duckdb.Error as error:
        answer = Answer("ERROR", error=_plain(error, job, folder), why="refused")
    except OSError as error:
        line = f"the answer is larger than {job.limits.result_mb} MB; ask for fewer rows"
        answer = Answer("ERROR", error=line, why="size")
        logging.getLogger(__name__).error("writing failed: %s", error)
    except Exception as error:
        logging.getLogger(__name__).error("a query failed", exc_info=error)
        line = f"the service failed on this query ({type(error).__name__})"
        answer = Answer("ERROR", error=line, why="fault")
    tell(replace(answer, seconds=time.monotonic() - started), folder)


def tell(answer: Answer, folder: Path) -> None:
    """Leave an answer in the folder of its query."""
    partial = folder / f"{jobs.ANSWER}.partial"
    partial.write_text(json.dumps(configs.to_dict(answer)))
    partial.replace(folder / jobs.ANSWER)


def late(limits: Limits) -> str:
    """Line of a query that takes too long."""
    return f"the query takes more than {limits.seconds:g} s; {_DEAR}, or ask for less"


def confine(limits: Limits) -> None:
    """Bound what this process may use."""
    sys.setrecursionlimit(_RECURSION)
    priority.lower(priority.COMPUTES)
    result = limits.result_mb * MB
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    memory = pages * resource.getpagesize() + (2 * limits.memory_mb + 512) * MB
    seconds = int(limits.seconds * limits.threads) + 5
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, max(result, limits.temp_mb * MB)),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
    ):
        resource.setrlimit(kind, (most, most))


def _answer(job: Job, folder: Path, ends: float) -> Answer:
    release = releases.load(Path(job.release))
    own = schema.tables(release)
    sent = {
        each.name: uploads.read(folder / each.file, each.name, job.upload_rows)
        for each in job.uploads
    }
    known = [*own, *(Named(UPLOADS, table) for table, _ in sent.values())]
    translation = translate(job.adql, Tables(known), job.most_rows + 1)
    database = databases.connect(
        Path(job.release),
        job.limits,
        folder / jobs.TEMPORARY,
        translation.tables,
        {name: rows for name, (_, rows) in sent.items()},
        own,
        job.base_url,
        job.authority,
    )
    with _interrupted(database, ends):
        expected = databases.cost(database, translation.sql)
        if expected > job.limits.cost:
            line = f"the query looks at about {expected:.1e} rows, too many at once; {_DEAR}"
            raise _RefusedError("cost", line)
        found = database.sql(translation.sql).to_arrow_table()
    overflow = len(found) > job.most_rows
    rows, columns = described(found.slice(0, job.most_rows), translation)
    status = "OVERFLOW" if overflow else "OK"
    written = 0
    with (folder / jobs.RESULT).open("wb") as stream:
        told = (*formats.infos_of(release), ("QUERY", printable(job.adql)[:2000]))
        for piece in formats.pieces(rows, columns, job.format, status, told):
            written += len(piece)
            if time.monotonic() > ends:
                raise _RefusedError("time", late(job.limits))
            if written > job.limits.result_mb * MB:
                line = f"the answer is larger than {job.limits.result_mb} MB; ask for fewer rows"
                raise _RefusedError("size", line)
            stream.write(piece)
    media = next(each.media for each in formats.FORMATS if each.name == job.format)
    return Answer(status, len(rows), media=media)  # type: ignore[arg-type]


class _interrupted:  # noqa: N801
    """Interrupts a database at a time."""

    def __init__(self, database: duckdb.DuckDBPyConnection, ends: float) -> None:
        self.timer = threading.Timer(max(ends - time.monotonic(), 0), database.interrupt)
        self.timer.daemon = True

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()


def _plain(error: duckdb.Error, job: Job, folder: Path) -> str:
    """One line of a database's error, without the paths of this machine."""
    line = printable(str(error).splitlines()[0])
    for path in (folder, Path(job.release)):
        line = line.replace(str(path), "")
    if "max_temp_directory_size" in str(error) or "temporary" in line:
        return f"the query needs more than {job.limits.temp_mb} MB of disk space; ask for less"
    return line.replace("release_.main.", "")[:500]
