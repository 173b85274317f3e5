"""Emission models of X-ray astronomy in torch, by XSPEC's names and definitions."""
