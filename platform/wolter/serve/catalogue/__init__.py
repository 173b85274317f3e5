"""HTTP interface of the catalogue: REST, and Simple Cone Search."""
