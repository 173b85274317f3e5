"""The wing of spectra: records, simulation, ingest, inference, fits and evaluation."""
