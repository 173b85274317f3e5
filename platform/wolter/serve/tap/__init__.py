"""TAP 1.1: queries in ADQL over a release of the catalogue, at once or as jobs."""
