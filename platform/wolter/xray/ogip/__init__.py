"""OGIP FITS tables in and out: spectra (PHA), responses (RMF, ARF), good time intervals."""
