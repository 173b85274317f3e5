"""Client of a served wolter: catalogue queries, similar sources, downloads, predictions.

    from wolter.client import Client

    client = Client("http://127.0.0.1:8000")
    rows = client.cone(10.68, 41.27, radius=0.1)["rows"]

Needs neither torch nor Ray. What the server refuses is raised as `wolter.errors.InputError`, with
the server's line; busy and starting servers are asked again after the time that they name.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests

from wolter.errors import FailedError, InputError
from wolter.progress import bar

AGAIN = (429, 503)
LONGEST_WAIT_S = 60.0  # that is taken of a server's Retry-After
PIECE = 2**20  # bytes of a download written at once
POSITIONS = 10_000  # of one request

Answer = dict[str, Any]
"""JSON of an answer: `release`, `simulated`, `status` and, of tables, `columns` and `rows`."""


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
        with _bar("positions", len(listed), progress) as advance:
            for first in range(0, len(listed), POSITIONS):
                part = listed[first : first + POSITIONS]
                told = self._json(
                    self.request(
                        "POST",
                        f"{_CATALOGUE}/positions",
                        params={"radius": radius, **_query(options)},
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
        if isinstance(to, int):
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
        with _bar("bytes", sum(each["bytes"] for each in chosen), progress) as advance:
            for each in chosen:
                target = _inside(folder, each["path"])
                self._fetch(
                    f"{_CATALOGUE}/releases/{release}/files/{each['path']}", each, target, advance
                )
                done.append(target)
        return done

    def predict(
        self, what: str, files: Mapping[str, Path | str | Sequence[Path | str]], **options: Any
    ) -> Answer:
        """What a model says of files, such as `predict("spectra/parameters", {"pha": file})`.

        Args:
            what: kind of record and of answer, as `/v1/models` lists them.
            files: by field; a field may take several.
            options: query parameters of the route.
        """
        parts = []
        for name, paths in files.items():
            several = [paths] if isinstance(paths, (str, Path)) else paths
            for path in several:
                try:
                    parts.append((name, (Path(path).name, Path(path).read_bytes())))
                except OSError as error:
                    raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        return self._json(self.request("POST", f"/v1/{what}", params=_query(options), files=parts))

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; again where the server is busy, starts or cannot be reached.

        Args:
            method: GET or POST.
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
            except (requests.ConnectionError, requests.Timeout) as error:
                why = f"{self.url}: cannot be reached ({type(error).__name__})"
            else:
                if response.status_code < 400:
                    return response
                why = _line(response)
                if response.status_code not in AGAIN:
                    kind = InputError if response.status_code < 500 else FailedError
                    raise kind(why)
                told = response.headers.get("retry-after", "")
                wait_s = min(float(told), LONGEST_WAIT_S) if told.isdigit() else wait_s
            if attempt + 1 < self.tries:
                time.sleep(wait_s)
        raise FailedError(f"{why}; asked {self.tries} times")

    def _fetch(self, path: str, told: dict[str, Any], target: Path, advance: Any) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and _digest(target) == told["sha256"]:
            advance(told["bytes"])
            return
        partial = target.with_name(f"{target.name}.partial")
        have = partial.stat().st_size if partial.is_file() else 0
        have = have if have < told["bytes"] else 0
        headers = {"range": f"bytes={have}-"} if have else {}
        with self.request("GET", path, headers=headers, stream=True) as response:
            went_on = response.status_code == 206
            advance(have if went_on else 0)
            with partial.open("ab" if went_on else "wb") as file:
                for piece in response.iter_content(PIECE):
                    file.write(piece)
                    advance(len(piece))
        if _digest(partial) != told["sha256"]:
            partial.unlink()
            raise FailedError(f"{target}: not as its checksum says; download it again")
        partial.replace(target)

    def _rows(self, path: str, params: Mapping[str, Any]) -> Answer:
        return self._json(self.request("GET", f"{_CATALOGUE}/{path}", params=_query(params)))

    def _json(self, response: requests.Response) -> Answer:
        answer: Answer = response.json()
        return answer


_CATALOGUE = "/v1/catalogue"


def _query(options: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters; a list of columns has commas, truths are words."""
    told: dict[str, Any] = {}
    for name, value in options.items():
        if name == "columns" and not isinstance(value, str):
            value = ",".join(value)
        told[name] = str(value).lower() if isinstance(value, bool) else value
    return told


def _line(response: requests.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code} {response.reason}"


def _inside(folder: Path, path: str) -> Path:
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise FailedError(f"{path[:100]!r}: the server names a file outside of the folder")
    return target


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _bar(title: str, total: int, shown: bool) -> Any:
    return bar(title, total) if shown else contextlib.nullcontext(lambda *_: None)
