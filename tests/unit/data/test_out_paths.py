import pytest

from wolter.data.out_paths import LONGEST, check_folder, check_out, same_file, stem
from wolter.errors import InputError
from wolter.xray.spectral.observation import Spectrum, write_spectrum


def test_a_new_name_in_a_new_folder_is_good(tmp_path):
    path = tmp_path / "a" / "b" / "t.fits"
    assert check_out(path, [None, "none", tmp_path / "t.fits"], (".fits",)) == path
    assert path.parent.is_dir()
    assert list(path.parent.iterdir()) == []


def test_files_are_one_by_any_way(tmp_path):
    (tmp_path / "one").write_text("")
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "hard").hardlink_to(tmp_path / "one")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("one", "link", "hard", f"../{tmp_path.name}/one"):
        assert same_file(tmp_path / name, tmp_path / "one")
    assert same_file(tmp_path / "dangling", tmp_path / "gone")
    (tmp_path / "two").write_text("")
    assert not same_file(tmp_path / "one", tmp_path / "two")
    with pytest.raises(InputError, match="which would be lost"):
        check_out(tmp_path / "link", [tmp_path / "one"])


def test_a_spectrum_is_never_a_table_of_results(tmp_path):
    """Such as a background that a header names."""
    import torch

    path = tmp_path / "background.fits"
    write_spectrum(path, Spectrum(torch.ones(5, dtype=torch.float64), 1.0))
    with pytest.raises(InputError, match="holds a spectrum"):
        check_out(path)


def test_names_as_long_as_file_systems_take(tmp_path):
    check_out(tmp_path / ("a" * LONGEST))
    with pytest.raises(InputError, match="shorter"):
        check_out(tmp_path / ("a" * (LONGEST + 1)))


@pytest.mark.parametrize("folder", ["file/inside", "/proc/none"])
def test_folders_that_take_no_file(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        check_folder(tmp_path / folder)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match="Read-only file system"):
        check_folder(tmp_path)


def test_stems_of_zipped_files(tmp_path):
    assert [stem(tmp_path / name) for name in ("a.b.fits", "a.b.fits.gz")] == ["a.b", "a.b"]
