"""Evaluation: metrics, tables against the reference, plots and the report page."""
