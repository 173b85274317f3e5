from tests.served import client, parts, service  # noqa: F401  # fixtures
