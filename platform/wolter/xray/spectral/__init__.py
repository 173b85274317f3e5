"""Responses and observations of spectra: folding, grouping, gain, simulation (fakeit)."""
