"""Picture of a quick look in SVG: rates with errors, the model's band, and residuals.

It holds no script and no style sheet, so that it may stand in a page that allows neither. Colours
are told apart by colour-blind readers (Okabe and Ito).

Shapes: G bin, G1 its edges.
"""

import mimetypes
from html import escape

import numpy as np

from wolter.answering.quick_look import Array, QuickLook
from wolter.catalogue.quick_looks import Seen
from wolter.serve.plot_axes import Scale

WIDTH, HEIGHT = 640, 430
LEFT, RIGHT, TOP = 78, 14, 34
MIDDLE = 286  # foot of the rates
LOWER, FOOT = 300, 382  # head and foot of the residuals
SIGMAS = 5.0  # residuals beyond it are marked at the frame
DECADES = 5  # of rates, at most
DATA, MODEL, BACKGROUND, SOFT = "#1a1a1a", "#0072b2", "#d55e00", "#666"
MEDIA_TYPE = mimetypes.types_map[".svg"]


def svg(seen: Seen) -> str:
    """Picture of a quick look.

    Args:
        seen: quick look at a detection.
    """
    look = seen.look
    foot = MIDDLE if look.model_G is None else FOOT
    height = HEIGHT if look.model_G is not None else HEIGHT - (FOOT - MIDDLE)
    edges_G1 = look.edges_G1
    x = Scale(edges_G1[0], edges_G1[-1], LEFT, WIDTH - RIGHT, seen.axis.scale)
    y = _rates(look)
    parts = [_grid(x, TOP, MIDDLE), _side(y, _rate_unit(seen))]
    parts += _curves(look, x, y)
    parts.append(_points(look, x, y))
    if look.model_G is not None:
        residuals = Scale(-SIGMAS, SIGMAS, FOOT, LOWER)
        parts += [_grid(x, LOWER, FOOT), _side(residuals, "residual / σ")]
        parts.append(_residuals(look, x, residuals))
    parts += [_below(x, foot, _named(seen)), _legend(seen)]
    about = f"Rates of detection {seen.detection_id} by {seen.axis.name}"
    about += f", with what {seen.model} expects" if look.model_G is not None else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="13" '
        f'fill="{DATA}"><title>{escape(about)}</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>'
    )


def _named(seen: Seen) -> str:
    axis = seen.axis
    return axis.name + (f" ({axis.unit})" if axis.unit else "")


def _rate_unit(seen: Seen) -> str:
    return "counts s⁻¹" + (f" {seen.axis.unit}⁻¹" if seen.axis.unit else "")


def _rates(look: QuickLook) -> Scale:
    """Axis of rates: all that was seen above zero, and the model, within `DECADES` decades."""
    unit_G = look.rate_per_count_G
    shown = [look.counts_G * unit_G, look.limits_2G[1] * unit_G, look.background_G * unit_G]
    shown += [] if look.model_G is None else [look.model_G * unit_G]
    values = np.concatenate(shown)
    values = values[np.isfinite(values) & (values > 0)]
    high = values.max() * 1.6
    return Scale(max(values.min() / 1.6, high / 10**DECADES), high, MIDDLE, TOP, "log")


def _curves(look: QuickLook, x: Scale, y: Scale) -> list[str]:
    """Steps of the background and of the model, with its band."""
    unit_G = look.rate_per_count_G
    parts = []
    if look.model_G is not None:
        if look.low_G is not None and look.high_G is not None:
            above = _steps(look.edges_G1, look.high_G * unit_G, x, y)
            below = _steps(look.edges_G1, look.low_G * unit_G, x, y)
            outline = " ".join((*above, *reversed(below)))
            parts.append(f'<polygon points="{outline}" fill="{MODEL}" fill-opacity="0.28"/>')
        parts.append(_line(_steps(look.edges_G1, look.model_G * unit_G, x, y), MODEL, "1.8"))
    if (look.background_G > 0).any():
        steps = _steps(look.edges_G1, look.background_G * unit_G, x, y)
        parts.append(_line(steps, BACKGROUND, "1.4", ' stroke-dasharray="5 3"'))
    return parts


def _steps(edges_G1: Array, values_G: Array, x: Scale, y: Scale) -> list[str]:
    x_G1, y_G = x.place(edges_G1), y.place(np.maximum(values_G, y.low))
    corners = zip(x_G1[:-1], x_G1[1:], y_G, strict=True)
    return [f"{at:.1f},{level:.1f}" for low, high, level in corners for at in (low, high)]


def _line(points: list[str], colour: str, width: str, more: str = "") -> str:
    return (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}"{more}/>'
    )


def _points(look: QuickLook, x: Scale, y: Scale) -> str:
    """Rates with errors; an arrow down from the upper limit where nothing was seen."""
    unit_G = look.rate_per_count_G
    low_G, high_G = look.limits_2G * unit_G
    rate_G, path, dots = look.counts_G * unit_G, [], []
    for i, rate in enumerate(rate_G):
        left, right = x.place(look.edges_G1[i : i + 2])
        centre = (left + right) / 2
        top = y.place(high_G[i])
        if rate <= 0:
            foot = min(top + 14, MIDDLE)
            path.append(f"M{left:.1f} {top:.1f}H{right:.1f}M{centre:.1f} {top:.1f}V{foot:.1f}")
            path.append("m-3 -4l3 4l3 -4")
            continue
        at = y.place(rate)
        bottom = y.place(max(low_G[i], y.low))
        path.append(f"M{left:.1f} {at:.1f}H{right:.1f}M{centre:.1f} {top:.1f}V{bottom:.1f}")
        dots.append(f'<circle cx="{centre:.1f}" cy="{at:.1f}" r="2"/>')
    return _stroked(path) + "".join(dots)


def _residuals(look: QuickLook, x: Scale, y: Scale) -> str:
    """Counts less the model, in standard deviations of Poisson noise around it."""
    assert look.model_G is not None
    sigma_G = np.sqrt(np.maximum(look.model_G, 1e-9))
    beyond_G = (look.counts_G - look.model_G) / sigma_G
    zero = float(y.place(0.0))
    frame = f'<path d="M{LEFT} {zero:.1f}H{WIDTH - RIGHT}" stroke="{MODEL}" stroke-width="1.8"/>'
    path, marks = [], []
    for i, sigmas in enumerate(beyond_G):
        left, right = x.place(look.edges_G1[i : i + 2])
        centre, at = (left + right) / 2, float(y.place(sigmas))
        if abs(sigmas) > SIGMAS:
            way = 6 if sigmas > 0 else -6
            marks.append(f'<path d="M{centre:.1f} {at:.1f}l-4 {way}h8z"/>')
            continue
        low, high = y.place(sigmas - 1), y.place(sigmas + 1)
        path.append(f"M{left:.1f} {at:.1f}H{right:.1f}M{centre:.1f} {high:.1f}V{low:.1f}")
        marks.append(f'<circle cx="{centre:.1f}" cy="{at:.1f}" r="2"/>')
    return frame + _stroked(path) + "".join(marks)


def _stroked(path: list[str]) -> str:
    return f'<path d="{"".join(path)}" fill="none" stroke="{DATA}" stroke-width="1.1"/>'


def _grid(x: Scale, top: int, foot: int) -> str:
    """Frame with lines at the ticks."""
    lines = "".join(f"M{x.place(tick):.1f} {top}V{foot}" for tick in x.ticks)
    small = "".join(f"M{x.place(tick):.1f} {foot}v-4" for tick in x.small_ticks)
    return (
        f'<path d="{lines}" stroke="#e4e4e4"/><path d="{small}" stroke="{SOFT}"/>'
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - RIGHT - LEFT}" height="{foot - top}" '
        f'fill="none" stroke="{SOFT}"/>'
    )


def _side(y: Scale, name: str) -> str:
    """Ticks and name of a vertical axis."""
    right = WIDTH - RIGHT
    lines = "".join(f"M{LEFT} {y.place(tick):.1f}H{right}" for tick in y.ticks)
    small = "".join(f"M{LEFT} {y.place(tick):.1f}h4" for tick in y.small_ticks)
    labels = "".join(
        f'<text x="{LEFT - 7}" y="{y.place(tick) + 4.5:.1f}" text-anchor="end">'
        f"{y.label(tick)}</text>"
        for tick in y.ticks
    )
    middle = (y.start + y.stop) / 2
    return (
        f'<path d="{lines}" stroke="#e4e4e4"/><path d="{small}" stroke="{SOFT}"/>{labels}'
        f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(name)}</text>"
    )


def _below(x: Scale, foot: int, name: str) -> str:
    """Labels and name of the horizontal axis."""
    labels = "".join(
        f'<text x="{x.place(tick):.1f}" y="{foot + 17}" text-anchor="middle">{x.label(tick)}</text>'
        for tick in x.ticks
    )
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'{labels}<text x="{middle:.0f}" y="{foot + 37}" text-anchor="middle">{escape(name)}</text>'
    )


def _legend(seen: Seen) -> str:
    """What the colours mean, above the frame."""
    look, at = seen.look, float(LEFT)
    banded = look.low_G is not None
    entries = [("observed", DATA, 62)]
    if look.model_G is not None:
        told = f"{seen.model}: median, 68 % band" if banded else f"{seen.model}: expected"
        told += f" (not usable: {seen.reason})" if seen.reason else ""
        entries.append((told, MODEL, 7 * len(told)))
    if (look.background_G > 0).any():
        entries.append(("background", BACKGROUND, 76))
    parts = []
    for told, colour, width in entries:
        parts.append(_key(at, colour, banded))
        parts.append(f'<text x="{at + 26:.0f}" y="21">{escape(told)}</text>')
        at += width + 46
    return "".join(parts)


def _key(at: float, colour: str, banded: bool) -> str:
    if colour == DATA:
        return (
            f'<path d="M{at} 17h20M{at + 10} 11v12" stroke="{DATA}" stroke-width="1.1"/>'
            f'<circle cx="{at + 10}" cy="17" r="2"/>'
        )
    band = f'<rect x="{at}" y="11" width="20" height="12" fill="{MODEL}" fill-opacity="0.28"/>'
    dashed = ' stroke-dasharray="5 3"' if colour == BACKGROUND else ""
    line = f'<path d="M{at} 17h20" stroke="{colour}" stroke-width="1.8"{dashed}/>'
    return (band if colour == MODEL and banded else "") + line
