"""Figures of evaluations on spectra."""
