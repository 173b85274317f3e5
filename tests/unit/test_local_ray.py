import os
import stat

import pytest

from wolter import local_ray
from wolter.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_token_is_long_kept_and_nobody_elses(home):
    before = os.umask(0)
    try:
        path = local_ray.token_file()
    finally:
        os.umask(before)
    token = path.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert local_ray.token_file().read_text() == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in home.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["", "short", " " * 64])
def test_a_token_that_is_none_is_made_anew(home, text):
    home.mkdir()
    (home / local_ray.TOKEN).write_text(text)
    assert len(local_ray.token_file().read_text()) == 64


def test_two_homes_have_two_tokens(home, monkeypatch, tmp_path):
    token = local_ray.token_file().read_text()
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path / "other"))
    assert local_ray.token_file().read_text() != token


def test_a_home_that_cannot_be_written_is_told(home):
    home.write_text("a file")
    with pytest.raises(InputError, match="set WOLTER_HOME to another folder"):
        local_ray.token_file()


def test_what_the_user_has_set_is_put_back(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    during = {}

    def fail_to_start():
        with local_ray.own_settings(), local_ray.closed():
            during.update(os.environ)
            raise KeyError("no Ray")

    with pytest.raises(KeyError, match="no Ray"):
        fail_to_start()
    assert "RAY_AUTH_MODE" not in during
    assert "RAY_AUTH_TOKEN" not in during
    assert during["RAY_AUTH_TOKEN_PATH"] == str(home / local_ray.TOKEN)
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ
