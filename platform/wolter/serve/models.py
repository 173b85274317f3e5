"""The models to serve: folders of a config, or the champions of the registry."""

from dataclasses import dataclass
from pathlib import Path

from wolter import family as families
from wolter import task as tasks
from wolter.errors import InputError
from wolter.family import Family
from wolter.registry.checkpoint import load_model
from wolter.registry.mlflow_client import shown_uri
from wolter.serve.config import ServeConfig


@dataclass(frozen=True)
class ServedRef:
    """A model to serve.

    Attributes:
        name: of the model, see `wolter.family.Family.model_name`.
        folder: its checkpoint.
        version: empty for the fingerprint of its weights.
        problem: why there is no such folder; then requests for this model alone are refused.
    """

    name: str
    folder: str
    version: str = ""
    problem: str = ""

    @property
    def task(self) -> str:
        """Task of the model; empty where its family or task is not known, or is not served."""
        try:
            family = families.load(self.name)
            return family.task if answers_requests(family) else ""
        except InputError:
            return ""


def application(task: str) -> str:
    """Name of the application of a task's models."""
    return task.replace("/", "-")


def answers_requests(family: Family) -> bool:
    """True if models of a family are served.

    Raises:
        InputError: the family is of an unknown task.
    """
    return tasks.load(family.task).serving() is not None


def choose(config: ServeConfig) -> tuple[ServedRef, ...]:
    """The models to serve: those of the config, or all champions, pretrained weights among them.

    Raises:
        InputError: a family is unknown, a folder is not its checkpoint, or there is no champion.
    """
    if not config.models:
        return _champions(config)
    chosen = tuple(
        ServedRef(name, str(Path(folder).absolute())) for name, folder in config.models.items()
    )
    for each in chosen:
        wanted = families.load(each.name)
        model = load_model(Path(each.folder))
        found = model.family.model_name(model.card.spec)
        if not answers_requests(wanted):
            raise InputError(f"{each.name}: models for {wanted.task} answer no requests; leave it")
        if found != each.name:
            raise InputError(f"{each.folder}: holds a model of {found}, not of {each.name}")
    return chosen


def _champions(config: ServeConfig) -> tuple[ServedRef, ...]:
    from wolter.registry import mlflow_store, pretrained

    found = []
    for family_name in families.names():
        try:
            family = families.load(family_name)
            served = answers_requests(family) and config.serves(application(family.task))
            names = family.model_names if served else ()
        except InputError as error:  # of others' packages
            if mlflow_store.has_champion(family_name):
                found.append(ServedRef(family_name, "", problem=str(error)))
            continue
        for name in names:
            if mlflow_store.has_champion(name) or name in pretrained.names():
                try:
                    folder, version = pretrained.find(name, mlflow_store.CHAMPION)
                except InputError as error:
                    found.append(ServedRef(name, "", problem=str(error)))
                else:
                    found.append(ServedRef(name, str(folder.absolute()), version))
    if not found and not config.applications:  # those of the catalogue need no model
        raise InputError(
            f"no family has a champion in {shown_uri()}; train one with `wolter "
            "train`, then `wolter promote` it"
        )
    return tuple(found)
