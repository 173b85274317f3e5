"""Map of the density of sources over the whole sky, as a PNG.

Hammer's projection keeps areas (Snyder 1987, USGS Professional Paper 1395, p. 182).
"""

import io

import numpy as np
from numpy.typing import NDArray

WIDTH = 900  # pixels
PER_CELL = 4  # sources in a cell of the map, at least, on average
FINEST, COARSEST = 6, 2  # orders of HEALPix


def sky_map(cells_N: NDArray[np.int64], order: int = 29) -> bytes:
    """PNG of the density of sources, right ascension increasing to the left.

    Args:
        cells_N: nested HEALPix cells of the sources.
        order: order of the cells.
    """
    from astropy.coordinates import Latitude, Longitude
    from astropy.units import deg
    from cdshealpix.nested import lonlat_to_healpix

    depth = FINEST
    while depth > COARSEST and len(cells_N) < PER_CELL * 12 * 4**depth:
        depth -= 1
    counts = np.bincount(cells_N >> 2 * (order - depth), minlength=12 * 4**depth)
    area_deg2 = 41_252.96 / len(counts)
    lon_HW, lat_HW, inside_HW = unproject(WIDTH, WIDTH // 2)
    at = lonlat_to_healpix(
        Longitude(lon_HW[inside_HW] % 360 * deg), Latitude(lat_HW[inside_HW] * deg), depth
    )
    density_HW = np.full(inside_HW.shape, np.nan)
    density_HW[inside_HW] = counts[at.astype(np.int64)] / area_deg2
    return _drawn(density_HW)


def unproject(width: int, height: int) -> tuple[NDArray[np.float64], ...]:
    """Longitude and latitude (deg) of the pixels of a map, and which pixels are on the sky.

    Args:
        width: pixels from longitude +180 (left) to -180 deg.
        height: pixels from latitude +90 (top) to -90 deg.
    """
    x_W = -2 * np.sqrt(2) * (2 * (np.arange(width) + 0.5) / width - 1)
    y_H = np.sqrt(2) * (1 - 2 * (np.arange(height) + 0.5) / height)
    x_HW, y_HW = np.meshgrid(x_W, y_H)
    inside_HW = (x_HW**2) / 8 + (y_HW**2) / 2 < 1
    z_HW = np.sqrt(np.clip(1 - (x_HW / 4) ** 2 - (y_HW / 2) ** 2, 0, None))
    lon_HW = np.degrees(2 * np.arctan2(z_HW * x_HW, 2 * (2 * z_HW**2 - 1)))
    lat_HW = np.degrees(np.arcsin(np.clip(z_HW * y_HW, -1, 1)))
    return lon_HW, lat_HW, inside_HW


def project(
    lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places on a map 2 wide and 1 high, whose centre is 0.

    Args:
        lon: longitudes, -180 to 180 deg.
        lat: latitudes, deg.
    """
    half, lat = np.radians(lon) / 2, np.radians(lat)
    scale = 1 / np.sqrt(1 + np.cos(lat) * np.cos(half))
    return -np.cos(lat) * np.sin(half) * scale, np.sin(lat) * scale / 2


def _drawn(density_HW: NDArray[np.float64]) -> bytes:
    from wolter.report import style  # a second of imports, for which no other page waits

    figure = style.new_figure(9.0, 4.9)
    axes = style.place(figure, 0.1, 0.45, 8.8, 4.4)
    most = max(float(np.nanmax(density_HW)), 1e-9)
    shown = axes.imshow(
        density_HW, extent=(-1, 1, -0.5, 0.5), cmap="viridis", vmin=0, vmax=most, aspect="equal"
    )
    for lat in range(-60, 61, 30):
        axes.plot(
            *project(np.linspace(-180, 180, 181), np.full(181, lat)),
            color="white",
            lw=0.5,
            alpha=0.5,
        )
    for lon in range(-180, 181, 60):
        axes.plot(
            *project(np.full(91, lon), np.linspace(-90, 90, 91)), color="white", lw=0.5, alpha=0.5
        )
        if -180 < lon < 180:
            x, y = project(np.array([lon]), np.array([0.0]))
            label = f"{lon % 360}°"
            axes.text(x[0], y[0], label, color="white", fontsize=style.SMALL, ha="center")
    axes.set_axis_off()
    bar = figure.colorbar(
        shown, cax=style.place(figure, 2.5, 0.38, 4.0, 0.1), orientation="horizontal"
    )
    bar.set_label("sources per square degree", fontsize=style.SMALL, labelpad=1)
    bar.ax.tick_params(labelsize=style.SMALL)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()
