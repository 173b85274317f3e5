import pytest

from wolter.answering.uploads import Upload, plain_name, with_names


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.pha", "a.pha"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a b.fits", "a b.fits"),
        ("/abs/x\n.fits", "x_.fits"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("a" * 300, "a" * 100),
        ("<script>", "_script_"),
    ],
)
def test_names_are_made_plain(name, plain):
    assert plain_name(name) == plain


def test_paths_of_uploads_become_the_client_s_names():
    sent = (Upload("a.pha", "/x/pha-0.fits"), Upload("b.rmf", "/x/rmf-0.fits"))
    said = "/x/rmf-0.fits: no table; see /x/pha-0.fits"
    assert with_names(said, sent) == "b.rmf: no table; see a.pha"
