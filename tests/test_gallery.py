"""The gallery holds every picture there is, and stays small."""

from tests.gallery import GALLERY, MOST_BYTES, file_names


def test_every_picture_is_in_the_gallery_and_nothing_else():
    assert sorted(path.name for path in GALLERY.iterdir()) == sorted(file_names())


def test_the_gallery_is_small():
    assert sum(path.stat().st_size for path in GALLERY.iterdir()) < MOST_BYTES
