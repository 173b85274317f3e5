"""MLflow tracking store: address, reachability check, client.

MLflow itself tries again for minutes, without a word, where nobody answers.
"""

import functools
import logging
import os
from typing import TYPE_CHECKING

from wolter.errors import InputError
from wolter.home import home
from wolter.network import SECONDS, host_and_port, unreachable, without_password
from wolter.terminal import quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"  # under `home()`
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def tracking_uri() -> str:
    """`$MLFLOW_TRACKING_URI`, or the SQLite file under `home()`, whose folder is made."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return given
    try:
        home().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{home()}: cannot be created ({error.strerror}); set WOLTER_HOME to another folder"
        ) from error
    return f"sqlite:///{home() / DATABASE}"


def has_store() -> bool:
    """True if there is a tracking store: an address, or the local file of runs."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (home() / DATABASE).is_file()


def shown_uri() -> str:
    """The address without a password."""
    return without_password(tracking_uri())


def client() -> "MlflowClient":
    """Client of the tracking store, quiet and without telemetry.

    Raises:
        InputError: the store does not answer.
    """
    quiet()
    uri = tracking_uri()
    must_answer(uri)
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(uri)


@functools.lru_cache(maxsize=8)  # once a process: a server that restarts later is waited for
def must_answer(uri: str) -> None:
    """Check within seconds that a tracking store answers.

    Raises:
        InputError: it does not.
    """
    scheme = uri.partition("://")[0].partition("+")[0] if "://" in uri else ""
    why = ""
    if scheme in PORTS and (place := host_and_port(uri, PORTS[scheme])):
        why = unreachable(*place)
    if not why and scheme.startswith("http"):
        why = _http(uri)
    elif not why and (scheme == "sqlite" or scheme in PORTS):
        why = _database(uri)
    if why:
        raise InputError(
            f"MLFLOW_TRACKING_URI={without_password(uri)}: MLflow does not answer there ({why}); "
            "start it, correct the address, or unset it for a file of WOLTER_HOME"
        )


def _http(uri: str) -> str:
    import requests

    try:
        answer = requests.get(uri, timeout=SECONDS, stream=True)
    except requests.RequestException as error:
        return " ".join(str(error).split())[:200]
    with answer:
        return f"HTTP {answer.status_code}" if answer.status_code >= 500 else ""


def _database(uri: str) -> str:
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":  # opens a file without a look at it
                connection.execute(sqlalchemy.text("SELECT count(*) FROM sqlite_master"))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        return " ".join(str(getattr(error, "orig", None) or error).split())[:200]
    return ""
