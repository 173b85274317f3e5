import pytest
import requests
from tests.served import client, parts, service  # noqa: F401  # fixtures


@pytest.fixture
def session():
    """For pyvo, which reads answers as streams and leaves them open: all are closed at the end."""
    answers = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda answer, **_: answers.append(answer))
        yield session
        for answer in answers:
            answer.close()
