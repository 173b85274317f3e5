"""Sizes of Fourier transforms."""


def fast_size(least: int) -> int:
    """The next size that has only the prime factors 2, 3 and 5: quick to transform."""
    size = least
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1
