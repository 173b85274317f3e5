"""Routes that are made from what a task declares."""

from wolter.serve.routes import attachment


def test_attachments_are_named_in_ascii_and_utf_8():
    assert attachment("a.fits") == 'attachment; filename="a.fits"'
    told = attachment("é b.fits")
    assert told == "attachment; filename=\"_ b.fits\"; filename*=UTF-8''%C3%A9%20b.fits"
