"""Runs and models in MLflow: by default a SQLite file and a folder under `$WOLTER_HOME`.

The registry keeps one version of `wolter-<model>`, a family or one of its variants, for every
finished run: its weights and card as plain files, with the SHA-256 of the weights as a tag. The
alias `champion` says which one serves.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from wolter import __version__
from wolter import family as families
from wolter.data.integrity import sha256_of
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.files import telling_full
from wolter.home import home
from wolter.network import host_and_port, unreachable
from wolter.reasons import told
from wolter.registry.checkpoint import CARD, WEIGHTS
from wolter.registry.mlflow_client import client, has_store, shown_uri, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, LATEST = "champion", "latest"
CONFIG = "config.json"  # among a run's artifacts, from its start
ARTIFACT = "checkpoint"  # folder of a run's artifacts that holds its model
PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"  # tags that MLflow's pages know


def registered_name(model: str) -> str:
    """Name of a model (see `Family.model_name`) in the registry."""
    return f"wolter-{model}"


def start(
    experiment: str,
    family: str,
    params: Mapping[str, Any],
    dataset: ShardDataset,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Begin a run; return its id.

    Args:
        experiment: its name, made if it is new.
        family: name of the family.
        params: nested configs.
        dataset: what it trains on.
        tags: more of them, such as `child_of`.
    """
    mlflow = client()
    from mlflow.entities import Param

    own = {"family": family, "code_version": __version__, **(tags or {})}
    run = mlflow.create_run(_experiment(mlflow, experiment), tags=own)
    about = {
        "path": str(dataset.path.absolute()),
        "sha256": dataset.sha256(),
        "rows": dataset.manifest.rows,
    }
    flat = flatten({**params, "dataset": about})
    mlflow.log_batch(run.info.run_id, params=[Param(k, str(v)) for k, v in flat.items()])
    try:
        must_keep(str(run.info.artifact_uri))
        mlflow.log_dict(run.info.run_id, flat, CONFIG)
    except Exception as error:
        mlflow.set_terminated(run.info.run_id, "FAILED")
        raise told(error) from error
    return str(run.info.run_id)


def must_keep(place: str) -> None:
    """Check within seconds that an artifact store answers, before a training begins.

    Raises:
        InputError: it does not.
    """
    names = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    endpoint = next((os.environ[name] for name in names if os.environ.get(name)), "")
    where = host_and_port(endpoint, 443) if place.startswith("s3:") else None
    if where and (why := unreachable(*where)):
        raise InputError(
            f"{place}: MLflow cannot keep files there ({endpoint}: {why}); start that store, or "
            "correct its address"
        )


def child_of(parent: str, name: str) -> dict[str, str]:
    """Tags of a run that belongs to another, among whose children it has this name."""
    return {PARENT: parent, NAME: name}


def children(parent: str) -> dict[str, str]:
    """Ids of the runs that belong to a run, by name."""
    mlflow = client()
    experiment = mlflow.get_run(parent).info.experiment_id
    found: dict[str, str] = {}
    page = None
    while True:
        wanted = f"tags.`{PARENT}` = '{parent}'"
        runs = mlflow.search_runs([experiment], wanted, page_token=page)
        found |= {run.data.tags[NAME]: str(run.info.run_id) for run in runs}
        page = runs.token
        if not page:
            return found


def _experiment(mlflow: "MlflowClient", name: str) -> str:
    """Id of an experiment, which is made if it is new, with its artifacts under `home()`."""
    place = None
    if "MLFLOW_TRACKING_URI" not in os.environ:
        place = (home() / "artifacts" / name).as_uri()
    found = mlflow.get_experiment_by_name(name)
    if found is not None and place not in (None, found.artifact_location):
        # The home was moved or copied: new runs must not write into the old one.
        mlflow.rename_experiment(found.experiment_id, f"{name} until {_now_ms()}")
        found = None
    return str(found.experiment_id if found else mlflow.create_experiment(name, place))


def _now_ms() -> int:
    return int(time.time() * 1000)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def log_metrics(run_id: str, metrics: Mapping[str, float], step: int = 0) -> None:
    """Note numbers of a run at a step, such as an epoch."""
    mlflow = client()
    from mlflow.entities import Metric

    now = _now_ms()
    with telling_full(home()):
        mlflow.log_batch(run_id, [Metric(k, float(v), now, step) for k, v in metrics.items()])


def history(run_id: str) -> dict[str, list[tuple[int, float]]]:
    """The metrics of a run as `(step, value)` pairs by name."""
    mlflow = client()
    names = mlflow.get_run(run_id).data.metrics
    return {n: [(m.step, m.value) for m in mlflow.get_metric_history(run_id, n)] for n in names}


def log_files(run_id: str, folder: Path, name: str) -> None:
    """Keep a folder with a run, under this name."""
    with telling_full(home()):
        client().log_artifacts(run_id, str(folder), name)


def finish(run_id: str, status: str) -> None:
    """End a run: FINISHED, FAILED or KILLED."""
    client().set_terminated(run_id, status)


def register(name: str, run_id: str, checkpoint: Path) -> str:
    """Keep a run's model (not what resumes the run) as a version of the models of its name."""
    mlflow = client()
    from mlflow.exceptions import MlflowException

    for file in (WEIGHTS, CARD):
        mlflow.log_artifact(run_id, str(checkpoint / file), ARTIFACT)
    registered = registered_name(name)
    try:
        mlflow.create_registered_model(registered)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{mlflow.get_run(run_id).info.artifact_uri}/{ARTIFACT}"
    tags = {"sha256": sha256_of(checkpoint / WEIGHTS), "model": name}
    return str(mlflow.create_model_version(registered, source, run_id, tags=tags).version)


def promote(family: str, which: str) -> str:
    """Make a run (by its id) or a version (by its number) the champion; return the version.

    Raises:
        InputError: the family has no such run or version.
    """
    found = _version(family, which)
    client().set_registered_model_alias(registered_name(family), CHAMPION, str(found.version))
    return str(found.version)


def champion(family: str) -> tuple[Path, str]:
    """Folder and version of the champion, whose weights are checked against their SHA-256.

    Raises:
        InputError: the family has no champion, or its files are missing or were changed.
    """
    return find(family, CHAMPION)


def has_champion(family: str) -> bool:
    """True if the registry names a champion, even one with missing files.

    Raises:
        InputError: the registry does not answer, which is not to say that it names none.
    """
    if not has_store():
        return False
    client()
    try:
        _version(family, CHAMPION)
    except InputError:
        return False
    return True


def find(family: str, which: str) -> tuple[Path, str]:
    """Folder and version of a model.

    Args:
        family: name of the family.
        which: a run id, a version, "champion", or "latest".

    Raises:
        InputError: there is none, or its files are missing or were changed.
    """
    version = _version(family, which)
    folder = _fetch(version)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise InputError(f"{weights}: missing; train {family} again and promote that run")
    if sha256_of(weights) != version.tags.get("sha256"):
        raise InputError(
            f"{weights}: not the weights that were registered (SHA-256 differs); train {family} "
            "again and promote that run"
        )
    return folder, str(version.version)


def run_of(family: str, which: str) -> str:
    """Id of the run that made a model; see `find`."""
    return str(_version(family, which).run_id)


def training_data(family: str, which: str) -> Path:
    """Folder of the dataset that a model was trained on, whether or not it is still there.

    Raises:
        InputError: there is no such model; see `find`.
    """
    params = client().get_run(run_of(family, which)).data.params
    return Path(params.get("dataset.path", ""))


def _version(family: str, which: str) -> "ModelVersion":
    families.load(family)
    found = _find_version(registered_name(family), which) if has_store() else None
    if found is not None:
        return found
    if which == CHAMPION:
        raise InputError(
            f"{family} has no champion in {shown_uri()}; make one with `wolter train {family} "
            f"--data DIR` and `wolter promote {family} RUN`"
        )
    raise InputError(
        f"{family} has no run or version {which} in {shown_uri()}; `wolter train {family} "
        "--data DIR` makes one and prints its run id"
    )


def _find_version(name: str, which: str) -> "ModelVersion | None":
    mlflow = client()
    from mlflow.exceptions import MlflowException

    try:
        if which == CHAMPION:
            return mlflow.get_model_version_by_alias(name, which)
        if which.isdecimal() and len(which) < 10:
            return mlflow.get_model_version(name, which)
        newest = ["version_number DESC"]
        versions = mlflow.search_model_versions(f"name='{name}'", order_by=newest)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    return next((v for v in versions if which in (LATEST, v.run_id)), None)


def _fetch(version: "ModelVersion") -> Path:
    """Local folder of a version's files; those of a remote store are kept under `home()`."""
    source = str(version.source)
    if source.startswith("file:"):
        place = Path(url2pathname(urlparse(source).path))
        # A home that was moved still holds the files, under its artifacts folder.
        moved = home() / "artifacts" / Path(*place.parts[-4:])
        return moved if moved.is_dir() and not place.is_dir() else place
    from mlflow.artifacts import download_artifacts

    kept: Path = home() / "models" / version.name / f"{version.version}-{version.run_id}"
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as temporary:
            download_artifacts(artifact_uri=source, dst_path=temporary, tracking_uri=tracking_uri())
            try:
                (Path(temporary) / ARTIFACT).rename(kept)
            except OSError:  # another process was first
                if not kept.is_dir():
                    raise
    return kept
