"""Commands of the wing of spectra; see `wolter.commands`."""

COMMANDS = {
    "simulate spectra": ("simulate", "Simulate spectra into a shard dataset"),
    "simulate population": ("population", "Simulate Chandra sources of eight classes"),
    "ingest spectra": ("ingest", "Read archive spectra into a shard dataset"),
    "ingest mmu": ("ingest_mmu", "Read the MultimodalUniverse's Chandra spectra into a dataset"),
    "fit": ("fit", "Classical fits of spectra, started from the prior or a network"),
    "classify": ("classify", "Classes of catalogue rows from X-ray features alone"),
    "evaluate rows": ("evaluate_rows", "Cross-validate the classifier of catalogue rows"),
    "label": ("label", "Observed spectra with labels from fits, to train on"),
}
