"""IN_UNIT: values of a column in another unit."""

from sqlglot import exp

from wolter.catalogue.adql.functions import fill
from wolter.catalogue.adql.names import Named
from wolter.catalogue.adql.output import column_at
from wolter.errors import InputError


def in_unit(arguments: list[exp.Expr], used: dict[int, Named]) -> exp.Expr:
    """A column times the factor between two units.

    Args:
        arguments: the column, and the unit in quotes.
        used: tables by the identity of their nodes.

    Raises:
        InputError: the column has no unit, or none that becomes the other by a factor.
    """
    from astropy import units

    match arguments:
        case [exp.Column() as column, exp.Literal(is_string=True) as wanted]:
            pass
        case _:
            raise InputError("IN_UNIT takes a column and a unit in quotes")
    own = _unit(column, used)
    try:
        factor = units.Unit(own, format="vounit").to(units.Unit(wanted.name, format="vounit"))
    except (ValueError, units.UnitConversionError) as error:
        line = f"IN_UNIT: {column.name} is in {own!r}, which is not to be had in"
        raise InputError(f"{line} {wanted.name[:40]!r}") from error
    return fill(f"(:column * {float(factor)!r}::DOUBLE)", column=column)


def _unit(column: exp.Column, used: dict[int, Named]) -> str:
    """Unit of a column."""
    found = column_at(column, used)
    if found is None or not found.unit:
        raise InputError(f"IN_UNIT: no unit is known of {column.name[:64]!r}")
    return found.unit
