"""X-ray physics on torch and numpy: responses, spectra, emission models, likelihoods, instruments."""
