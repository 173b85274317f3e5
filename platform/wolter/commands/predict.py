"""`wolter predict`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from wolter import family as families
from wolter.data.out_paths import check_folder
from wolter.data.tables import check_table
from wolter.errors import InputError
from wolter.progress import bar
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find, locate
from wolter.spectra.check_files import check_files
from wolter.spectra.predict import predict_files, predict_to_file


@dataclass(frozen=True)
class Predict:
    """Parameters of PHA files: a table with one row a file.

    Each file is read with the response and background that its header names, unless others are
    given. Files that cannot be read go to OUT's stem + .rejects.parquet with the reason.

    Attributes:
        family: name of the family.
        files: PHA files.
        out: table to write; .parquet, .csv, .vot or .fits choose the format.
        rmf: RMF to use for every file.
        arf: ARF to use for every file; "none" for none.
        background: background spectrum to use for every file; "none" for none.
        response: files, or embedded for the EPIC-pn response that needs no files.
        version: version, run id or alias of the model in the registry; "pretrained" for the weights
            that come with the package, which also stand in where there is no champion.
        checkpoint: folder of a model to use in place of the registry's.
        translator: carry the spectra to the simulated domain first, by this version, run id, alias
            or checkpoint folder of the family translator.
        components: add the component spectra, where the family gives them.
        check: fit every spectrum from the answer, and flag those that the model cannot explain.
        refine: with check, the exact posterior in place of the network's (family posterior).
        plots: with check, draw corner plots and spectra with residuals into this folder.
    """

    family: tyro.conf.Positional[str]
    files: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    rmf: Path | None = None
    arf: Path | None = None
    background: Path | None = None
    response: Literal["files", "embedded"] = "files"
    version: str = "champion"
    checkpoint: Path | None = None
    translator: str = ""
    components: bool = False
    check: bool = False
    refine: bool = False
    plots: Path | None = None

    def run(self) -> int:
        """Predict, and account for every file."""
        inputs = (*self.files, self.rmf, self.arf, self.background)
        check_table(self.out, inputs, vectors=self.components)
        if self.plots is not None:
            check_folder(self.plots)
        if self.checkpoint is None:
            folder, version = find(self.family, self.version)
        else:
            folder, version = self.checkpoint, ""
        model = load_model(folder)
        table_of = predict_files
        if self.translator:
            translator = load_model(locate("translator", self.translator))
            table_of = partial(predict_files, translator=translator)
        if self.check or self.refine or self.plots is not None:
            if self.translator:
                raise InputError(
                    "--translator: its counts have no Poisson likelihood; leave out "
                    "--check, --refine and --plots"
                )
            table_of = partial(check_files, refined=self.refine, plots=self.plots)
        with bar("reading", len(self.files)) as advance:
            written = predict_to_file(
                model,
                self.files,
                self.out,
                table_of=table_of,
                rmf=self.rmf,
                arf=self.arf,
                background=self.background,
                response=self.response,
                version=version,
                components=self.components,
                on_files=advance,
            )
        print(f"{written.rows} spectra: {self.out}")
        if written.rejects:
            print(f"{len(written.rejects)} rejected: {written.rejects_file}")
        return 0


def command(arguments: Sequence[str]) -> type[Any]:
    """The command for the kind of records that the family reads, which the arguments name."""
    named = set(families.names()).intersection(arguments)
    if any(families.load(name).kind == "images" for name in named):
        from wolter.images.commands.predict import PredictImages

        return PredictImages
    return Predict
