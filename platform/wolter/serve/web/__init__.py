"""Web page of the catalogue: search, results and sources, rendered on the server."""
