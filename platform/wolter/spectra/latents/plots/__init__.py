"""Figures of the analysis of latents."""
