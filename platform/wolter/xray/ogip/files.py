"""Suffixes of FITS files."""

FITS_SUFFIXES = {".fits", ".fit", ".fts", ".ds", ".pha", ".pi", ".pha1", ".ftz"}
