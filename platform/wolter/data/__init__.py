"""Records: schemas, shard datasets, simulation and ingest on Ray Data, typed batches."""
