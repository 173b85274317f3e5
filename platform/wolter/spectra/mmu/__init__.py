"""Chandra spectra of the MultimodalUniverse: grouped, background-subtracted, without responses."""
