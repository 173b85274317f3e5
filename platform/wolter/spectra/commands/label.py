"""`wolter label`."""

from dataclasses import dataclass
from pathlib import Path

from wolter import config as configs
from wolter.data.shards import open_dataset
from wolter.spectra.labels import label_dataset
from wolter.spectra.simulator import REFERENCE_PRIOR, SimulateConfig, Simulator


@dataclass(frozen=True)
class Label:
    """Label observed spectra with fitted parameters, as a dataset for `wolter train --observed`.

    Labels are the parameters in a table of `wolter fit` or `wolter predict`; a spectrum that is not
    in it, a fit that failed and a parameter at its bound or unconstrained stay without.

    Attributes:
        data: folder of the observed dataset (`wolter ingest spectra`), or of a simulated one in its
            place, whose true labels and noise-free counts are left out.
        fits: .parquet table with a row for each spectrum.
        out: folder of the dataset to write.
        assume_dataset: folder of the simulated dataset whose model and effective area the fits
            assumed.
    """

    data: Path
    fits: Path
    out: Path
    assume_dataset: Path | None = None

    def run(self) -> int:
        """Label, and count."""
        dataset = open_dataset(self.data)
        parameters, area_A = dataset.spec.parameters or REFERENCE_PRIOR, None
        if self.assume_dataset is not None:
            assumed = open_dataset(self.assume_dataset).manifest
            parameters = assumed.spec.parameters
            area_A = Simulator(configs.from_dict(SimulateConfig, assumed.config)).area_A
        done = label_dataset(dataset, self.fits, self.out, parameters, area_A)
        print(f"{done.rows} of {done.dataset.manifest.rows} spectra labelled: {self.out}")
        return 0


COMMAND = Label
