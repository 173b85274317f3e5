"""The commands of `wolter`: one file each, a frozen dataclass of options with a `run`."""
