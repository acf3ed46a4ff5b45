"""Rows of CSV files come with the lines on which they end."""

import pytest

from sim.csv_rows import read_rows


def test_rows_come_with_their_lines_and_short_rows_with_none(tmp_path):
    file = tmp_path / "own.csv"
    file.write_bytes(b'\xef\xbb\xbfat,note\n1,"two\nlines"\n2\n')
    assert read_rows(file, "at") == [
        (3, {"at": "1", "note": "two\nlines"}),
        (4, {"at": "2", "note": None}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"when\n1\n", "has no column 'at'"),
        (b"at\n", "has no rows"),
        (b"at\n\xff\n", "cannot read .*utf-8"),
        (b"at\n" + b"x" * 200_000 + b"\n", "cannot read .*field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    file = tmp_path / "own.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_rows(file, "at")
    assert str(file) in str(caught.value)
