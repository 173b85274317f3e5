"""Work that outlives its request: a queue in SQLite, what runs it, and jobs of models."""
