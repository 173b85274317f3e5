"""HAProxy's configuration as we need it: a program that Ray Serve starts in place of HAProxy.

Ray Serve writes a configuration, and starts `PROGRAM -f FILE ...` anew at each change of replicas.
`main` changes that file and becomes HAProxy. The standard library alone, so that it takes
milliseconds.
"""

import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path

LIVE = "/livez"
JOBS = "/tap/async"  # its posts make jobs
NEAR = "127.0.0.1 ::1"  # from where a proxy may say whom it asks for, and over which protocol
SLOW_HEADERS_S = 20  # longest time until the headers of a request have arrived
_PDEATHSIG = 1  # of prctl(2)
_ALIVE = r"{\"status\":\"alive\"}"
_STARTS = r"{\"detail\":\"the server starts; try again in a few seconds\"}"
# What Ray Serve takes as orders; a client has none to give.
_ORDERS = (
    "x-request-timeout-seconds",
    "x-request-disconnect-disabled",
    "x-session-id",
    "serve_multiplexed_model_id",
    "serve-multiplexed-model-id",
)
_UNASKED = ("frontend prometheus", "listen stats")  # sections that we have no use for
_ERRORS = {
    400: ("Bad Request", "the request is not well-formed, or its headers are too large"),
    408: ("Request Timeout", "the request did not arrive in time; send it again"),
    500: ("Internal Server Error", "the server failed on this request; try again"),
    502: ("Bad Gateway", "what answers this path ended on this request; try again"),
    503: ("Service Unavailable", "the service is not ready; try again in a few seconds"),
    504: ("Gateway Timeout", "the request took too long; send fewer files or records"),
}


def tailored(config: str, folder: str, host: str) -> str:
    """Change the configuration that Ray Serve has written.

    Nothing listens but requests, on `host`, and Ray's own socket: no statistics, whose ports could
    be another's. `/livez` is answered without a replica.
    A path whose application has no replica is answered by the application of a shorter prefix.
    Request ids are ours, and errors are JSON. Before there is any application, all is answered 503.
    Replicas learn the address of the client, which none can choose: a proxy on this machine alone
    is believed on whom it asks for.

    Args:
        config: text of the configuration.
        folder: folder of the files of `write_errors`.
        host: address that requests are taken at.
    """
    config = re.sub(rf"^(?:{'|'.join(_UNASKED)})\n(?:[ \t].*\n|\n)*", "", config, flags=re.M)
    config = re.sub(
        r"^(frontend http_frontend\n\s*bind) \S+:(\d+)$", rf"\1 {host}:\2", config, flags=re.M
    )
    config = config.replace(" mode 666 level admin", " mode 600 level admin")
    # Ray's own proxy, which would keep a request waiting until there is a replica.
    config = re.sub(r"^\s*# Fallback to head.*\n\s*server .* backup$\n?", "", config, flags=re.M)
    config = re.sub(r"^\s*server .* check backup$\n?", "", config, flags=re.M)
    config = re.sub(r"^(\s*use_backend (\S+) if is_\2)$", _with_replicas, config, flags=re.M)
    # A client's first request must not meet a connection that ended with its replica.
    config = config.replace("http-reuse always", "http-reuse safe")
    # Before the page is up; once it is, it answers what no other application does.
    starts = f'503 content-type application/json string "{_STARTS}" hdr retry-after 2'
    config = re.sub(
        r"^(\s*http-request return status) 404 .* not found\. Ping http.*$",
        lambda found: f"{found[1]} {starts}",
        config,
        flags=re.M,
    )
    config = re.sub(r"^\s*errorfile .*$\n?", "", config, flags=re.M)
    errors = "\n".join(f"    errorfile {code} {folder}/{code}.http" for code in _ERRORS)
    config = config.replace(
        "defaults\n", f"defaults\n{errors}\n    timeout http-request {SLOW_HEADERS_S}s\n", 1
    )
    return re.sub(r"^(frontend http_frontend\n\s*bind .*)$", rf"\1\n{_rules()}", config, flags=re.M)


def _with_replicas(found: re.Match[str]) -> str:
    rule, backend = found[1], found[2]
    return rule if backend == "http-page" else f"{rule} {{ nbsrv({backend}) ge 1 }}"


def _rules() -> str:
    lines = [
        f'http-request return status 200 content-type application/json string "{_ALIVE}" '
        f"if METH_GET {{ path {LIVE} }}",
        # Set before the client's own is lost.
        "http-request set-var(txn.client_id) req.hdr(x-request-id),bytes(0,100) "
        "if { req.hdr(x-request-id) -m reg ^[A-Za-z0-9._:-]+$ }",
        "http-request set-header x-request-id %[uuid]",
        # uvicorn believes what comes from loopback, as all requests do that HAProxy hands on.
        *(
            f"http-request {change} if !{{ src {NEAR} }}"
            for change in (
                "del-header x-forwarded-proto",
                "set-header x-forwarded-for %[src]",
            )
        ),
        *(f"http-request del-header {name}" for name in _ORDERS),
        # All others may be asked twice, as a replica that ends may leave an answer out.
        "http-request disable-l7-retry if METH_POST { path_beg " + JOBS + " }",
        "http-response set-header x-client-request-id %[var(txn.client_id)] "
        "if { var(txn.client_id) -m found }",
    ]
    return "\n".join(f"    {line}" for line in lines)


def alerts(text: str) -> str:
    """What HAProxy gave as reasons why it ended, in one line; empty if it gave none."""
    found = re.findall(r"^\[ALERT\] *\(\d+\) : (.*)$", text, flags=re.M)
    return re.sub(r"\[/\S+\] ", "", "; ".join(found))  # without names of files


def write_errors(folder: Path) -> None:
    """Write HAProxy's own errors as JSON: one file a status."""
    for code, (title, line) in _ERRORS.items():
        body = json.dumps({"detail": line}, separators=(",", ":"))
        again = "Retry-After: 2\r\n" if code in (502, 503) else ""
        (folder / f"{code}.http").write_text(
            f"HTTP/1.1 {code} {title}\r\nContent-Type: application/json\r\n{again}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}",
            newline="",
        )


def main() -> None:
    """Change the configuration, and become HAProxy.

    Arguments: HAProxy's file, the folder of `write_errors`, and those of Ray Serve.
    """
    program, folder, *words = sys.argv[1:]
    if sys.platform == "linux":  # end with Ray's process, however that ends
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
    if "-f" in words:
        path = Path(words[words.index("-f") + 1])
        host = (Path(folder) / "host").read_text().strip()
        path.write_text(tailored(path.read_text(), folder, host))
    os.execv(program, [program, *words])


if __name__ == "__main__":
    main()
