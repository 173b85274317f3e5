"""Reports: figure style, tables, one HTML page."""
