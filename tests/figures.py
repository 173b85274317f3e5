"""What figures show."""

from matplotlib.figure import Figure


def drawn_inside(figure: Figure) -> bool:
    """Whether all that is drawn, labels and legends included, is within the figure."""
    figure.canvas.draw()
    box, renderer = figure.bbox, figure.canvas.get_renderer()
    parts = [*figure.axes, *figure.texts, *figure.legends]
    extents = [part.get_tightbbox(renderer) for part in parts]
    return all(
        e.x0 >= box.x0 and e.x1 <= box.x1 and e.y0 >= box.y0 and e.y1 <= box.y1 for e in extents
    )
