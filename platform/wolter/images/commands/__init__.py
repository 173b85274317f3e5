"""Commands of the wing of images; see `wolter.commands`."""

COMMANDS = {
    "simulate images": ("simulate", "Simulate pairs of images into a shard dataset"),
    "ingest images": ("ingest", "Make pairs of real images into a shard dataset"),
}
