"""Client of a served wolter: catalogue queries, similar sources, downloads, predictions.

    from wolter.client import Client

    client = Client("http://127.0.0.1:8000")
    rows = client.cone(10.68, 41.27, radius=0.1)["rows"]

Needs neither torch nor Ray. What the server refuses is raised as `wolter.errors.InputError`, with
the server's line; busy and starting servers are asked again after the time that they name.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from wolter.client.arrays import ARRAYS, body_of, joined, rows_of, table_of
from wolter.client.transfer import (
    LONGEST_WAIT_S,
    PIECE,
    Answer,
    again_s,
    digest,
    inside,
    line,
    query,
    shown_bar,
    written,
)
from wolter.errors import FailedError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

AGAIN = (429, 502, 503)  # busy, lost with the replica that was to answer, starting
LOST = (  # no answer, or the half of one
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
JOB_S = 2.0  # between two looks at a job
POSITIONS = RECORDS = 10_000  # of one request
IN_FLIGHT = 2  # requests with arrays: one is read while another is predicted

_CATALOGUE = "/v1/catalogue"


@dataclass
class Client:
    """A served wolter.

    Attributes:
        url: of the server.
        key: API key; empty for none.
        tries: how often a request is sent, where the server is busy or cannot be reached.
        timeout_s: longest wait for an answer.
    """

    url: str = "http://127.0.0.1:8000"
    key: str = ""
    tries: int = 5
    timeout_s: float = 120.0
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def cone(self, ra: float, dec: float, radius: float, **options: Any) -> Answer:
        """Sources within a radius (deg) of a position (deg), the nearest first.

        Args:
            ra: right ascension, ICRS, deg.
            dec: declination, ICRS, deg.
            radius: deg, inclusive.
            options: `columns`, `limit`, `release`.
        """
        return self._rows("cone", {"ra": ra, "dec": dec, "radius": radius, **options})

    def sources(self, filters: Sequence[str] = (), **options: Any) -> Answer:
        """Sources that fulfil all filters, such as `kt >= 1.5`.

        Args:
            filters: conditions, see the how-to page.
            options: `columns`, `order`, `descending`, `limit`, `offset`, `ra`, `dec`, `radius`.
        """
        return self._rows("sources", {"filter": list(filters), **options})

    def source(self, source_id: int, release: str = "") -> Answer:
        """One source with all its detections and estimates."""
        return self._rows(f"sources/{int(source_id)}", {"release": release} if release else {})

    def ids(self, ids: Iterable[int] = (), names: Iterable[str] = (), **options: Any) -> Answer:
        """Sources by identifiers and names, in the order asked; `missing` tells those not there.

        Args:
            ids: identifiers of sources.
            names: names of sources.
            options: `columns`, a list; `release`.
        """
        body = {"ids": list(ids), "names": list(names), **options}
        return self._json(self.request("POST", f"{_CATALOGUE}/ids", json=body))

    def positions(
        self,
        places: Iterable[tuple[str, float, float]],
        radius: float,
        progress: bool = True,
        **options: Any,
    ) -> Answer:
        """Sources within a radius (deg) of each of any number of positions.

        Args:
            places: name, right ascension and declination (deg) of each.
            radius: deg, inclusive.
            progress: show a bar on standard error.
            options: `columns`, `limit` of each 10,000 positions, `release`.
        """
        listed = [{"id": str(name), "ra": ra, "dec": dec} for name, ra, dec in places]
        answer: Answer = {}
        with shown_bar("positions", len(listed), progress) as advance:
            for first in range(0, len(listed), POSITIONS):
                part = listed[first : first + POSITIONS]
                told = self._json(
                    self.request(
                        "POST",
                        f"{_CATALOGUE}/positions",
                        params={"radius": radius, **query(options)},
                        json={"positions": part},
                    )
                )
                if not answer:
                    answer = told
                else:
                    if answer["release"] != told["release"]:
                        raise FailedError("a new release came between two requests; ask again")
                    answer["rows"] += told["rows"]
                    if told["status"] != "OK":
                        answer["status"] = told["status"]
                advance(len(part))
        answer["positions"] = len(listed)
        return answer

    def similar(self, to: int | Sequence[float], limit: int = 10, **options: Any) -> Answer:
        """Sources with latents nearest to those of a source, or to a vector of latents.

        Args:
            to: identifier of a source, or the vector.
            limit: number of sources.
            options: `columns`, `release`.
        """
        if isinstance(to, int | Integral):  # NumPy's are no int
            return self._rows(f"similar/{to}", {"limit": limit, **options})
        body = {"latent": [float(each) for each in to], "limit": limit, **options}
        return self._json(self.request("POST", f"{_CATALOGUE}/similar", json=body))

    def anomalies(self, limit: int = 100, **options: Any) -> Answer:
        """The most anomalous sources.

        Args:
            limit: number of sources.
            options: `by`, a column; `columns`, `release`.
        """
        return self._rows("anomalies", {"limit": limit, **options})

    def releases(self) -> list[dict[str, Any]]:
        """All releases, oldest first."""
        listed: list[dict[str, Any]] = self.request("GET", f"{_CATALOGUE}/releases").json()
        return listed

    def download(
        self, release: str, folder: Path, paths: Sequence[str] = (), progress: bool = True
    ) -> list[Path]:
        """Download files of a release, verified by their checksums; goes on where it stopped.

        Args:
            release: name.
            folder: where to.
            paths: of the files; all where none is given.
            progress: show a bar on standard error.

        Raises:
            InputError: there is no such release or file.
            FailedError: a file is not as its checksum says.
        """
        listed = self._json(self.request("GET", f"{_CATALOGUE}/releases/{release}/files"))["files"]
        told = {each["path"]: each for each in listed}
        if unknown := set(paths) - told.keys():
            raise InputError(f"release {release}: no file {min(unknown)}")
        chosen = [told[path] for path in (paths or told)]
        done = []
        with shown_bar("bytes", sum(each["bytes"] for each in chosen), progress) as advance:
            for each in chosen:
                target = inside(folder, each["path"])
                self._fetch(
                    f"{_CATALOGUE}/releases/{release}/files/{each['path']}", each, target, advance
                )
                done.append(target)
        return done

    def predict(
        self,
        what: str,
        files: Mapping[str, Path | str | Sequence[Path | str]],
        out: Path | str | None = None,
        progress: bool = True,
        **options: Any,
    ) -> Answer:
        """What a model says of files, such as `predict("spectra/parameters", {"pha": file})`.

        An answer that takes minutes is waited for, and its job deleted.

        Args:
            what: kind of record and of answer, as `/v1/models` lists them.
            files: by field; a field may take several.
            out: file to write the answer to, which is then told by its `file` and `media_type`;
                needed where it is no JSON.
            progress: show a bar on standard error while a job runs.
            options: query parameters of the route.

        Raises:
            InputError: the answer is no JSON, and there is no `out`.
            FailedError: its job failed, or was deleted.
        """
        parts = []
        for name, paths in files.items():
            several = [paths] if isinstance(paths, (str, Path)) else paths
            for path in several:
                try:
                    parts.append((name, (Path(path).name, Path(path).read_bytes())))
                except OSError as error:
                    raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        response = self.request("POST", f"/v1/{what}", params=query(options), files=parts)
        if response.status_code == 202:
            response = self.wait(response.json()["id"], progress)
        if out is not None:
            return written(response, Path(out))
        kind = response.headers.get("content-type", "")
        if not kind.startswith("application/json"):
            raise InputError(f"{what}: answers with {kind}; give out=FILE to keep that")
        return self._json(response)

    def predict_arrays(
        self,
        what: str,
        arrays: Mapping[str, Any],
        shared: Mapping[str, Any] | None = None,
        progress: bool = True,
        **options: Any,
    ) -> "pa.Table":
        """What a model says of records that are arrays, as a table: any number, the fastest way.

            client.predict_arrays("spectra/parameters", {"counts": counts_BC, "exposure_s": s_B})

        Args:
            what: kind of record and of answer, as `/v1/models` lists them.
            arrays: by name, as the route's JSON has them; a row of each is a record.
            shared: those that are of all records, such as `energy_edges`.
            progress: show a bar on standard error.
            options: query parameters of the route.

        Raises:
            InputError: the arrays have not the same number of rows.
        """
        n = rows_of(arrays)

        def ask(first: int) -> "pa.Table":
            piece = {name: each[first : first + RECORDS] for name, each in arrays.items()}
            response = self.request(
                "POST", f"/v1/{what}", params=query({**options, "format": "parquet"}),
                data=body_of({**piece, **(shared or {})}), headers={"content-type": ARRAYS},
            )  # fmt: skip
            return table_of(response)

        tables = []
        with shown_bar("records", n, progress) as advance, ThreadPoolExecutor(IN_FLIGHT) as pool:
            for table in pool.map(ask, range(0, n, RECORDS)):
                tables.append(table)
                advance(len(table))
        return joined(tables)

    def wait(self, job: str, progress: bool = True) -> requests.Response:
        """The answer of a job, once it is done; the job is deleted then.

        Args:
            job: its id.
            progress: show a bar on standard error.

        Raises:
            InputError: there is no such job.
            FailedError: it failed.
        """
        path, done = f"/v1/jobs/{job}", 0.0
        with shown_bar("job, %", 100, progress) as advance:
            while True:
                response = self.request("GET", path)
                info = self._json(response)
                advance(100 * max((info["progress"] or 0.0) - done, 0.0))
                done = max(info["progress"] or 0.0, done)
                if info["state"] in ("done", "failed"):
                    break
                time.sleep(again_s(response, JOB_S))
        if info["state"] == "failed":
            raise FailedError(info["error"])
        answer = self.request("GET", f"{path}/result")
        self.request("DELETE", path)
        return answer

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; again where the server is busy or starts, or its answer is lost.

        Args:
            method: GET, POST or DELETE.
            path: from the server's URL on.
            options: of `requests`.

        Raises:
            InputError: the server refuses the request; its own line.
            FailedError: it cannot be reached, fails, or stays busy.
        """
        headers = {"x-api-key": self.key} if self.key else {}
        headers |= options.pop("headers", {})
        for attempt in range(self.tries):
            wait_s = min(2.0**attempt, LONGEST_WAIT_S)
            try:
                response = self.session.request(
                    method, self.url.rstrip("/") + path, headers=headers,
                    timeout=self.timeout_s, **options,
                )  # fmt: skip
            except LOST as error:
                why = f"{self.url}: cannot be reached ({type(error).__name__})"
            else:
                if response.status_code < 400:
                    return response
                why = line(response)
                if response.status_code not in AGAIN:
                    kind = InputError if response.status_code < 500 else FailedError
                    raise kind(why)
                wait_s = again_s(response, wait_s)
            if attempt + 1 < self.tries:
                time.sleep(wait_s)
        raise FailedError(f"{why}; asked {self.tries} times")

    def _fetch(self, path: str, told: dict[str, Any], target: Path, advance: Any) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and digest(target) == told["sha256"]:
            advance(told["bytes"])
            return
        partial = target.with_name(f"{target.name}.partial")
        for attempt in range(self.tries):
            try:
                self._fetch_rest(path, told["bytes"], partial, advance, again=attempt > 0)
                break
            except requests.RequestException as error:  # while it came; another try goes on
                if attempt + 1 == self.tries:
                    why = f"{type(error).__name__}; download it again, which goes on"
                    raise FailedError(f"{target}: cut off ({why})") from error
        if digest(partial) != told["sha256"]:
            partial.unlink()
            raise FailedError(f"{target}: not as its checksum says; download it again")
        partial.replace(target)

    def _fetch_rest(self, path: str, size: int, partial: Path, advance: Any, again: bool) -> None:
        have = partial.stat().st_size if partial.is_file() else 0
        have = have if have < size else 0
        headers = {"range": f"bytes={have}-"} if have else {}
        with self.request("GET", path, headers=headers, stream=True) as response:
            went_on = response.status_code == 206
            advance(have if went_on and not again else 0)
            with partial.open("ab" if went_on else "wb") as file:
                for piece in response.iter_content(PIECE):
                    file.write(piece)
                    advance(len(piece))

    def _rows(self, path: str, params: Mapping[str, Any]) -> Answer:
        return self._json(self.request("GET", f"{_CATALOGUE}/{path}", params=query(params)))

    def _json(self, response: requests.Response) -> Answer:
        answer: Answer = response.json()
        return answer
