"""Catalogue of sources, detections and estimates: data model, immutable releases, queries."""
