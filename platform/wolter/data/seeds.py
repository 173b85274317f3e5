"""Seeds of random draws, one for each purpose and place."""

import numpy as np


def seed_of(seed: int, index: int, purpose: str) -> int:
    """A 63-bit seed for one purpose and index, independent between all of them."""
    words = [seed, index, *purpose.encode()]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
