"""A population of Chandra sources: what its classes emit, how they are observed, what is noted."""
