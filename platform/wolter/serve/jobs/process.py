"""Process that answers one job of a model, and ends.

`python -m wolter.serve.jobs.process FOLDER` reads one line of JSON, a `Work`, leaves the answer in
the folder, and writes one line of JSON, the fields of an `Outcome`. It ends with its standard
input, so that no job outlives the replica that began it.
"""

import asyncio
import contextlib
import io
import json
import logging
import math
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter import priority
from wolter.errors import InputError, UnavailableError
from wolter.files import write_atomically
from wolter.serve.jobs.queue import FAULT


@dataclass(frozen=True)
class Work:
    """A job of a model.

    Attributes:
        model: that answers; a dictionary of a `ServedRef`.
        config: limits; a dictionary of a `ServeConfig`.
        asked: see `wolter.serve.jobs.store.ModelJob`.
        threads: that a network may use.
    """

    model: dict[str, Any]
    config: dict[str, Any]
    asked: dict[str, Any]
    threads: int = 1


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        error: one line; empty where there is an answer.
        media: media type of the answer.
        file: name to keep it under.
    """

    error: str = ""
    media: str = ""
    file: str = ""


def main() -> None:
    """Answer a job."""
    import torch

    # The outcome keeps the real output; what libraries print goes to the log.
    outcomes = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    priority.lower(priority.WAITS)
    work = configs.from_dict(Work, json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_input, daemon=True).start()
    torch.set_num_threads(work.threads)
    outcome = asyncio.run(answer(work, Path(sys.argv[1])))
    print(json.dumps(configs.to_dict(outcome)), file=outcomes, flush=True)


async def answer(work: Work, folder: Path) -> Outcome:
    """Answer a job; its result is left in the folder.

    Args:
        work: the job.
        folder: of the job, with its files.
    """
    from wolter.serve.config import ServeConfig
    from wolter.serve.models import ServedRef
    from wolter.serve.service import Service

    ref = configs.from_dict(ServedRef, work.model)
    config = replace(configs.from_dict(ServeConfig, work.config), parsers=1)
    service = Service.load([ref], config)
    try:
        return await _answered(service, ref.name, work.asked, folder)
    except (InputError, UnavailableError) as error:
        return Outcome(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("a job of %s failed", ref.name)
        return Outcome(f"{FAULT} ({type(error).__name__})")
    finally:
        service.stop()


async def _answered(service: Any, name: str, asked: Mapping[str, Any], folder: Path) -> Outcome:
    from starlette.datastructures import UploadFile

    from wolter.catalogue import formats
    from wolter.serve.inference_tables import packed
    from wolter.serve.jobs.store import BODY, FILES, PROGRESS, RESULT
    from wolter.serve.routes import ModelRequest, query_type

    service.watch.require(name)
    task, files = service.tasks[name], folder / FILES
    query: Any = query_type(task)(**asked["query"])
    wanted = formats.choose(asked["format"], "")
    with contextlib.ExitStack() as opened:
        uploads = None
        if asked["files"] is not None:
            uploads = {
                field: [
                    UploadFile(
                        opened.enter_context((files / f"{field}-{i}").open("rb")), filename=each
                    )
                    for i, each in enumerate(names)
                ]
                for field, names in asked["files"].items()
            }
        body = (files / BODY).read_bytes() if uploads is None else None
        request = ModelRequest(
            service,
            task,
            query,
            math.inf,
            body,
            uploads,
            tabular=wanted.name != "json",
            said=lambda done: write_atomically(folder / PROGRESS, f"{done:.3f}".encode()),
        )
        reply = packed(await service.models[name].answer(request), wanted, asked["explicit"])
    write_atomically(folder / RESULT, reply.content)
    return Outcome(media=reply.media_type, file=reply.file)


def _end_with_input() -> None:
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
