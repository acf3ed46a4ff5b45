"""The shares that ``make coverage`` prints, and where it fails."""

import json

import pytest

from tests.covered import main


@pytest.mark.parametrize(("lines", "fails"), [(949, True), (950, False), (1000, False)])
def test_lines_below_95_percent_fail_and_branches_are_told(lines, fails, tmp_path, capsys):
    report = tmp_path / "coverage.json"
    totals = {"covered_lines": lines, "num_statements": 1000, "covered_branches": 3, "num_branches": 8}
    report.write_text(json.dumps({"totals": totals}))
    if fails:
        with pytest.raises(SystemExit, match="at least 95 % of the lines"):
            main(report)
    else:
        main(report)
    assert capsys.readouterr().out == f"lines of sim/ that tests run: {lines / 10:.2f} %, branches: 37.50 %\n"
