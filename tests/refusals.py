"""Refusals of the server, as tests read them."""

from typing import Any


def refused(response: Any, status: int) -> str:
    """The one line of a refusal."""
    assert response.status_code == status, response.text
    assert list(response.json()) == ["detail"]
    line = response.json()["detail"]
    assert "\n" not in line
    assert "/tmp" not in line
    return line
