"""Example queries, as DALI's document of examples."""

from xml.sax.saxutils import escape

EXAMPLES = (
    ("cone", "Sources within half a degree of a position, the nearest first",
     "SELECT TOP 100 source_id, name, ra, dec, counts,\n"
     "  DISTANCE(POINT('ICRS', ra, dec), POINT('ICRS', 10.68, 41.27)) AS separation\n"
     "FROM wolter.source\n"
     "WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10.68, 41.27, 0.5))\n"
     "ORDER BY separation"),
    ("brightest", "The sources with the most counts",
     "SELECT TOP 20 source_id, name, ra, dec, counts, exposure_s\n"
     "FROM wolter.source\nORDER BY counts DESC"),
    ("detections", "Every detection of the sources that were seen again",
     "SELECT TOP 100 s.name, d.observation_id, d.t_start, d.counts\n"
     "FROM wolter.source AS s JOIN wolter.detection AS d USING (source_id)\n"
     "WHERE s.n_detections > 1\nORDER BY name, t_start"),
    ("instruments", "Number of detections by instrument",
     "SELECT instrument, COUNT(*) AS n, SUM(exposure_s) AS exposure_s\n"
     "FROM wolter.detection\nGROUP BY instrument\nORDER BY n DESC"),
    ("obscore", "Observations that cover a position",
     "SELECT TOP 100 obs_id, target_name, instrument_name, t_exptime, access_url\n"
     "FROM ivoa.obscore\n"
     "WHERE 1 = INTERSECTS(s_region, CIRCLE('ICRS', 10.68, 41.27, 1))"),
    ("columns", "What each column holds",
     "SELECT column_name, unit, ucd, description\n"
     "FROM tap_schema.columns\nWHERE table_name = 'wolter.source'"),
)  # fmt: skip
"""Identifier, title and query of each."""


def page() -> str:
    """The document."""
    items = "".join(
        f'<div typeof="example" id="{name}" resource="#{name}">\n'
        f'<h2 property="name">{escape(title)}</h2>\n'
        f'<pre property="query">{escape(query)}</pre>\n</div>\n'
        for name, title, query in EXAMPLES
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml">\n'
        "<head><title>Examples of queries</title></head>\n"
        '<body vocab="http://www.ivoa.net/rdf/examples#">\n<h1>Examples of queries</h1>\n'
        f"{items}</body>\n</html>\n"
    )
