"""`wolter keys`: keys of the clients of a server."""
