#!/usr/bin/env python
"""Evaluate autoencoders of spectra on a test split: `ray job submit jobs/evaluate_latents.py`.

Reconstructions, clusters, probes, calibration and physics of their latents, beside baselines.
Without arguments: the family autoencoder on the default dataset. Options are those of
`wolter evaluate autoencoder`:
`ray job submit --working-dir . -- python jobs/evaluate_latents.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("evaluate", otherwise="autoencoder")
