"""Commands of the wing of spectra."""
