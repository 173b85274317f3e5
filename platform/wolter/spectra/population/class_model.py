"""Words in which a class of sources is told: its models, their shares and priors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wolter.spectra.population.draws import Draw


@dataclass(frozen=True)
class Variant:
    """One model of a class.

    Attributes:
        share: of the sources of the class.
        model: emission, in XSPEC's names.
        draws: distribution of each of its parameters but the first norm. What is missing of the
            second of two equal components is as in the first.
        fixed: values of the others.
        slope: parameter that is the label `slope`; empty where there is none.
        kt: parameters whose mean, weighted by their norms, is the label `kt`; empty for none.
    """

    share: float
    model: str
    draws: Mapping[str, Draw]
    fixed: Mapping[str, float] = field(default_factory=dict)
    slope: str = ""
    kt: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceClass:
    """One class of sources.

    Attributes:
        name: as catalogues have it.
        sources: where the figures are from.
        labelled: number of labelled Chandra sources of the class, for a mix as catalogues have it.
        variable: share of sources that vary within an observation, and between observations.
        variants: models; their shares sum to 1.
    """

    name: str
    sources: str
    labelled: int
    variable: tuple[float, float]
    variants: tuple[Variant, ...]
