import pytest

from wolter.errors import InputError
from wolter.spectra.model_check_plots import picture_stems


def stems(folder, *files):
    return picture_stems([folder / file for file in files], folder / "plots")


def test_pictures_are_named_by_their_files(tmp_path):
    assert stems(tmp_path, "a/x.pha", "b/y.fits.gz", "z") == ["x", "y", "z"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files = ("a/src.pha", "b/src.pha", "b/src.fits", "one.pha")
    assert stems(tmp_path, *files) == ["a-src", "b-src", "b-src-2", "one"]
    deep = ("u/1/src.pha", "u/2/src.pha", "v/2/src.pha")
    assert stems(tmp_path, *deep) == ["1-src", "u-2-src", "v-2-src"]


def test_a_file_given_twice_has_two_pictures(tmp_path):
    assert stems(tmp_path, "src.pha", "src.pha", "SRC.pha")[:2] == ["src", "src-2"]


@pytest.mark.parametrize(
    "files",
    [("a-src.pha", "a/src.pha", "b/src.pha"), ("s.pha", "s.pha", "s-2.pha"), ("A.pha", "a.pi")],
)
def test_names_are_all_different_even_without_case(tmp_path, files):
    names = stems(tmp_path, *files)
    assert len({name.lower() for name in names}) == len(files)
    assert stems(tmp_path, *files) == names


def test_no_input_is_drawn_over(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "src.pha").write_text("")
    (tmp_path / "plots" / "src-corner.png").symlink_to(tmp_path / "src.pha")
    with pytest.raises(InputError, match="would be lost"):
        stems(tmp_path, "src.pha")


def test_a_very_long_name_keeps_its_end(tmp_path):
    (name,) = stems(tmp_path, f"{'a' * 220}-end.pha")
    assert len(name) == 150
    assert name.endswith("-end")
