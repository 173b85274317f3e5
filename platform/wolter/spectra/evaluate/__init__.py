"""Evaluation of families of spectra: errors, calibration, exact posteriors, reports."""
