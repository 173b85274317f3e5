"""What emits in stars, YSOs and CVs: plasma, or bremsstrahlung with the strongest lines."""

from wolter.errors import InputError
from wolter.spectra.population.config import Thermal
from wolter.xray.emission.components import parse
from wolter.xray.emission.expression import Expression
from wolter.xray.emission.plasma_table import network_file


def model_of(thermal: Thermal, text: str) -> Expression:
    """The model of a text, with `plasma` as it is wanted.

    Raises:
        InputError: the packages of plasma are not installed.
    """
    if thermal == "plasma" and "plasma" in text:
        try:
            network_file()
        except InputError as error:
            raise InputError(f"{error}; or simulate with --thermal bremsstrahlung") from None
    return parse(text)
