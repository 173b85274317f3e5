"""Classification of X-ray catalogue rows: band fluxes, spectral slope and variability to class."""
