"""Free and fixed parameters of a model expression, from `--prior` and `--fixed`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast, get_args

from wolter.errors import InputError
from wolter.spectra.schema import Parameter
from wolter.xray.emission.components import parse
from wolter.xray.emission.expression import Expression, Quantity
from wolter.xray.stats.prior import PriorKind

PriorOption = tuple[float | str, ...]
"""NAME LOW HIGH [log|uniform|normal], as `--prior` takes it."""

_KINDS = get_args(PriorKind)
_FORM = "give --prior NAME LOW HIGH [log|uniform|normal]"


def free_and_fixed(
    model: str,
    priors: Iterable[PriorOption],
    fixed: Iterable[tuple[str, float]] = (),
    usual: Sequence[Parameter] = (),
) -> tuple[tuple[Parameter, ...], dict[str, float]]:
    """Free parameters of a model with their priors, and the values of its other parameters.

    A parameter that has a default value in its component, such as the width of a line, is fixed at
    it unless it is given a prior.

    Args:
        model: expression in XSPEC's names, which gives names, units and order of the parameters.
        priors: priors of free parameters; of two with one name the latter counts.
        fixed: name and value of other parameters.
        usual: priors of parameters that are not named, for models that have all of them.

    Returns:
        The free parameters in the expression's order, and the fixed ones by name.

    Raises:
        InputError: a prior is malformed, a name is not a parameter of the model, or a parameter has
            neither a prior nor a value.
    """
    expression = parse(model)
    values = expression.defaults | _named(expression, model, dict(fixed), "--fixed")
    found = {p.name: p for p in usual}
    if not found.keys() <= set(expression.parameters):
        found = {}
    for option in priors:
        parameter = _parameter(expression, option)
        _named(expression, model, {parameter.name: 0.0}, "--prior")
        found[parameter.name] = parameter
    both = [name for name, _ in fixed if name in {option[0] for option in priors}]
    if both:
        raise InputError(f"--fixed {both[0]}: it has a prior as well; give one of them")
    values = {k: v for k, v in values.items() if k not in found or k in dict(fixed)}
    free = [name for name in expression.parameters if name not in values]
    if missing := [name for name in free if name not in found]:
        raise InputError(_proposal(expression, model, missing))
    return tuple(found[name] for name in free), values


def _named(
    expression: Expression, model: str, values: Mapping[str, float], option: str
) -> dict[str, float]:
    """The values, whose names are checked to be parameters."""
    for name in values:
        if name not in expression.parameters:
            raise InputError(
                f"{option} {name}: not a parameter of '{model}', which has "
                f"{', '.join(expression.parameters)}"
            )
    return dict(values)


def _parameter(expression: Expression, option: PriorOption) -> Parameter:
    text = " ".join(f"{word:g}" if isinstance(word, float) else str(word) for word in option)
    name, low, high, kind = (*option, "uniform") if len(option) == 3 else (*option, *[""] * 4)[:4]
    if len(option) > 4 or isinstance(low, str) or isinstance(high, str) or kind not in _KINDS:
        raise InputError(f"--prior {text}: {_FORM}")
    if not low < high or (kind == "log" and low <= 0):
        bounds = "0 < LOW < HIGH" if kind == "log" else "LOW < HIGH"
        raise InputError(f"--prior {text}: give {bounds}")
    return Parameter(
        str(name),
        float(low),
        float(high),
        expression.quantities.get(str(name), Quantity()).unit,
        cast("PriorKind", kind),
        scales_with_flux=name in expression.norms,
    )


def _proposal(expression: Expression, model: str, names: Sequence[str]) -> str:
    """Suggested priors for parameters without one: ranges that suit most sources."""
    options = []
    for name in names:
        quantity = expression.quantities[name]
        low, high = (f"{v:g}" for v in quantity.typical) if quantity.typical else ("LOW", "HIGH")
        options.append(f"--prior {name} {low} {high}{' log' if quantity.logarithmic else ''}")
    return (
        f"'{model}': no prior of {', '.join(names)}; {_FORM} or --fixed NAME VALUE of each, "
        f"for instance: {' '.join(options)}"
    )
