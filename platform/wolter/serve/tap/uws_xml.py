"""UWS 1.1 documents of jobs."""

from xml.sax.saxutils import escape, quoteattr

from wolter.serve.jobs import queue as uws
from wolter.serve.tap.store import UwsJob
from wolter.serve.timing import time_text

_NAMESPACES = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1.1"'
)
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
HIDDEN = "_"  # parameters that begin so are the service's own


def job_document(job: UwsJob, url: str) -> str:
    """Document of a job.

    Args:
        job: it.
        url: of the job.
    """
    parts = [
        f"<uws:jobId>{job.id}</uws:jobId>",
        _optional("runId", job.parameters.get("RUNID")),
        '<uws:ownerId xsi:nil="true"/>',
        f"<uws:phase>{job.phase}</uws:phase>",
        '<uws:quote xsi:nil="true"/>',
        f"<uws:creationTime>{time_text(job.created)}</uws:creationTime>",
        _time("startTime", job.started),
        _time("endTime", job.ended),
        f"<uws:executionDuration>{job.duration:.0f}</uws:executionDuration>",
        f"<uws:destruction>{time_text(job.destruction)}</uws:destruction>",
        _parameters(job),
        _results(job, url),
        _error(job),
    ]
    return f"{_HEAD}<uws:job {_NAMESPACES}>\n" + "\n".join(filter(None, parts)) + "\n</uws:job>\n"


def list_document(jobs: list[tuple[UwsJob, str]]) -> str:
    """Document of jobs and their URLs."""
    refs = "".join(
        f'<uws:jobref id="{job.id}" xlink:href={quoteattr(url)}>'
        f"<uws:phase>{job.phase}</uws:phase>"
        f"<uws:creationTime>{time_text(job.created)}</uws:creationTime></uws:jobref>\n"
        for job, url in jobs
    )
    return f"{_HEAD}<uws:jobs {_NAMESPACES}>\n{refs}</uws:jobs>\n"


def parameters_document(job: UwsJob) -> str:
    """Document of a job's parameters."""
    return _alone(_parameters(job))


def results_document(job: UwsJob, url: str) -> str:
    """Document of a job's results."""
    return _alone(_results(job, url))


def _alone(element: str) -> str:
    name, rest = element.split(">", 1)
    plain = name.rstrip("/")
    closed = "/" if name.endswith("/") else ""
    return f"{_HEAD}{plain} {_NAMESPACES}{closed}>{rest}\n"


def _optional(name: str, value: str | None) -> str:
    return "" if value is None else f"<uws:{name}>{escape(value)}</uws:{name}>"


def _time(name: str, seconds: float | None) -> str:
    if seconds is None:
        return f'<uws:{name} xsi:nil="true"/>'
    return f"<uws:{name}>{time_text(seconds)}</uws:{name}>"


def _parameters(job: UwsJob) -> str:
    items = "".join(
        f"<uws:parameter id={quoteattr(name)}>{escape(value)}</uws:parameter>\n"
        for name, value in job.parameters.items()
        if not name.startswith(HIDDEN)
    )
    return f"<uws:parameters>\n{items}</uws:parameters>"


def _results(job: UwsJob, url: str) -> str:
    if job.phase != uws.COMPLETED:
        return "<uws:results/>"
    href, media = quoteattr(f"{url}/results/result"), quoteattr(job.media or "")
    result = f'<uws:result id="result" xlink:href={href} mime-type={media}/>'
    return f"<uws:results>\n{result}\n</uws:results>"


def _error(job: UwsJob) -> str:
    if job.phase != uws.ERROR:
        return ""
    message = f"<uws:message>{escape(job.error or '')}</uws:message>"
    return f'<uws:errorSummary type="fatal" hasDetail="true">{message}</uws:errorSummary>'
