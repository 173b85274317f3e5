"""Ray Serve applications that answer from the champions."""
