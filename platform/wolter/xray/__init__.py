"""X-ray physics on torch and numpy: responses, spectra, models, likelihoods, instruments."""
