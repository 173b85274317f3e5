"""Analysis of latents: what an embedding of spectra keeps of their sources."""
