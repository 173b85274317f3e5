"""The HTTP interface: the application with its routes, limits and errors."""

from functools import reduce
from operator import or_
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from wolter import __version__
from wolter.answering.contract import ModelInfo
from wolter.serve import health, problems, routes
from wolter.serve.config import MB
from wolter.serve.limits import Admit, LimitBody
from wolter.serve.service import Service, serving_of
from wolter.serve.timing import REQUEST_TIMEOUT_S

_ABOUT = """
Models of X-ray astronomy, which learnt from simulated observations.
Send files, or JSON where a route takes it; `/v1/models` tells what each model was trained on, and
what it answers.
"""


def build_app(service: Service) -> FastAPI:
    """The application that answers from a service."""
    servings = {task: serving_of(task) for task in service.served_tasks}
    about = "\n".join([_ABOUT, *(f"- `/v1/{task}`: {s.about}" for task, s in servings.items())])
    app = FastAPIOffline(title="wolter", description=about, version=__version__, redoc_url=None)
    config = service.config
    most, most_json = int(config.max_request_mb * MB), int(config.max_json_mb * MB)
    app.add_middleware(LimitBody, max_bytes=most, max_json=most_json)
    at_once, waiting = config.max_ongoing, config.max_queued
    if servings and all(serving.dear == "all" for serving in servings.values()):
        at_once, waiting = config.max_dear + 1, config.max_dear_queued  # one is read meanwhile
    app.add_middleware(Admit, at_once=at_once, waiting=waiting, timeout_s=REQUEST_TIMEOUT_S)
    words = {k: v for serving in servings.values() for k, v in serving.words.items()}
    problems.add_handlers(app, words)
    health.add_routes(app, service.watch)
    info: Any = reduce(or_, dict.fromkeys(s.Info for s in servings.values()) or (ModelInfo,))

    @app.get("/v1/models", response_model=list[info])
    async def models() -> JSONResponse:
        """The models that are served: what they were trained on, and what they predict."""
        return JSONResponse(service.told())

    for task in servings:
        routes.add_route(app, service, task)
    return app
