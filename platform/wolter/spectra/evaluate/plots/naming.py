"""Labels of parameters and components of spectra in figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wolter.spectra.schema import Parameter


@dataclass(frozen=True)
class Label:
    """Axis label of a parameter: name, unit, and the factor to that unit."""

    name: str
    unit: str
    factor: float = 1.0

    @property
    def text(self) -> str:
        """Name with unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


LABELS: Mapping[str, Label] = {
    "nh": Label(r"$N_\mathrm{H}$", r"$10^{22}$ cm$^{-2}$"),
    "slope": Label(r"photon index $\Gamma$", ""),
    "pow_norm": Label("power-law norm", r"$10^{-3}$ ph keV$^{-1}$ cm$^{-2}$ s$^{-1}$", 1e-3),
    "line_energy": Label("line energy", "keV"),
    "line_norm": Label("line norm", r"$10^{-5}$ ph cm$^{-2}$ s$^{-1}$", 1e-5),
    "kt": Label("blackbody $kT$", "keV"),
    "bb_norm": Label("blackbody norm", r"$10^{-5}$ $L_{39}\,D_{10}^{-2}$", 1e-5),
    "sigma": Label(r"line width $\sigma$", "keV"),
    "tin": Label(r"disk $kT_\mathrm{in}$", "keV"),
    "disk_norm": Label("disk norm", r"km$^2$ (10 kpc)$^{-2}$"),
    "brems_kt": Label("bremsstrahlung $kT$", "keV"),
    "brems_norm": Label("bremsstrahlung norm", r"$3.02\times10^{-15}$ cm$^{-5}$"),
    "plasma_kt": Label("plasma $kT$", "keV"),
    "plasma_norm": Label("plasma norm", r"$10^{-14}$ cm$^{-5}$"),
}
NAMES: Mapping[str, str] = {name: label.name for name, label in LABELS.items()}
COMPONENTS: Mapping[str, str] = {
    "powerlaw": "power law",
    "gaussian": "Gaussian line",
    "bbody": "blackbody",
    "diskbb": "disk blackbody",
    "bremss": "bremsstrahlung",
}


def label(parameter: Parameter) -> Label:
    """Label of a parameter, numbered where a component is repeated; its own name if it has none."""
    base, _, number = parameter.name.rpartition("_")
    if number.isdigit() and base in LABELS:
        return replace(LABELS[base], name=f"{LABELS[base].name} {number}")
    return LABELS.get(parameter.name, Label(parameter.name, parameter.unit))


def component(name: str) -> str:
    """Label of a component."""
    return COMPONENTS.get(name, name)
