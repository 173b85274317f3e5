"""The wing of images: records, simulation, ingest, enhancement and evaluation."""
