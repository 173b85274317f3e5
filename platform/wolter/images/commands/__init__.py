"""Commands of the wing of images."""
