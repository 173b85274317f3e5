"""Pictures of sources in a release: cut from what models make of tiles of the sky."""
