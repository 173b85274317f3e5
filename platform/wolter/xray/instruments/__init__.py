"""X-ray instruments: responses, backgrounds, point-spread functions, cameras, pointing."""
