"""X-ray images: scenes, expected counts, counts images, event lists, exposure, background."""
