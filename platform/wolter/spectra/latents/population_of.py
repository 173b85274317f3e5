"""Population that the sources of a dataset were drawn from."""

from typing import Any, cast

from wolter import config as configs
from wolter.errors import InputError
from wolter.spectra.latents.study import Study
from wolter.spectra.population.classes import NAMES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.quantities import PARAMETERS


def population_of(study: Study) -> PopulationConfig | None:
    """Config of the population of a dataset; None where its sources are of none."""
    spec, fields = study.test.spec, PopulationConfig.__dataclass_fields__
    own = {name: value for name, value in study.config.items() if name in fields}
    if spec.names != tuple(p.name for p in PARAMETERS) or spec.classes != NAMES or not own:
        return None
    try:
        return cast("PopulationConfig", configs.from_dict(cast("Any", PopulationConfig), own))
    except InputError:  # of another release
        return None
