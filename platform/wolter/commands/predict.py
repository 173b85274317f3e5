"""`wolter predict`."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from wolter import family as families
from wolter import task as tasks
from wolter.commands.family_options import named_family
from wolter.progress import bar
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find
from wolter.task import NoOptions

FLAT = tyro.conf.arg(name="")  # options without a prefix
FIELDS = """
Attributes:
    family: name of the family.
    files: files to read.
    out: file to write; its suffix chooses the format.
    inputs: files that go with every record.
    options: how to answer.
    version: version, run id or alias of the model in the registry; "pretrained" for the weights
        that come with the package, which also stand in where there is no champion.
    checkpoint: folder of a model to use in place of the registry's.
"""


@dataclass(frozen=True)
class Predict:
    """Answers of a model for files; name a family to see its options."""

    family: tyro.conf.Positional[str]
    files: tyro.conf.Positional[tuple[Path, ...]]
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    inputs: Annotated[Any, FLAT] = field(default_factory=NoOptions)
    options: Annotated[Any, FLAT] = field(default_factory=NoOptions)
    version: str = "champion"
    checkpoint: Path | None = None

    def run(self) -> int:
        """Predict, and account for every file."""
        family = families.load(self.family)
        task = tasks.load(family.task)
        name = task.model_name(family, self.options)
        task.check_outputs(self.files, self.out, self.inputs, self.options)
        folder, version = self.checkpoint, ""
        if folder is None:
            folder, version = find(name, self.version)
        model = load_model(folder)
        with bar("reading", len(self.files)) as advance:
            lines = task.predict(
                model, version, self.files, self.out, self.inputs, self.options, advance
            )
        for line in lines:
            print(line)
        return 0


def command(arguments: Sequence[str]) -> type[Predict]:
    """The command with the options of the task of the family that the arguments name.

    Raises:
        InputError: there is no such family.
    """
    family = named_family(arguments)
    task = None if family is None else tasks.load(family.task)
    if task is None:
        return _command(inspect.getdoc(Predict), NoOptions, NoOptions)
    return _command(inspect.getdoc(type(task)), task.Inputs, task.Options)


def _command(about: str | None, inputs: type[Any], options: type[Any]) -> type[Predict]:
    return make_dataclass(
        Predict.__name__,
        [
            ("inputs", Annotated[inputs, FLAT], field(default_factory=inputs)),
            ("options", Annotated[options, FLAT], field(default_factory=options)),
        ],
        bases=(Predict,),
        namespace={"__doc__": f"{about}\n{FIELDS}"},
        frozen=True,
    )
