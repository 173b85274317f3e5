"""Classical fits of spectrum files and of shard datasets."""
