"""Evaluation of families of images: scores, baselines, sources, reports."""
