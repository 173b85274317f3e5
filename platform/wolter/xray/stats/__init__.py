"""Poisson statistics: likelihoods, goodness of fit, minimisers, intervals, posterior samples."""
