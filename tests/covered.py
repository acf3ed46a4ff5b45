"""How much of ``sim/`` the tests run: ``make coverage`` prints it, and fails where it is too little.

Reads the JSON report of coverage.py. What runs in another process (workers of ``--jobs``, commands that a
test starts) is not counted.
"""

import json
import sys
from pathlib import Path

LEAST_PERCENT = 95


def shares(report):
    """Give the percentages of lines and of branches that were run."""
    totals = report["totals"]
    pairs = (("covered_lines", "num_statements"), ("covered_branches", "num_branches"))
    return tuple(100 * totals[covered] / totals[there] for covered, there in pairs)


def main(file):
    """Print both, and end with 1 where lines are too few."""
    lines, branches = shares(json.loads(Path(file).read_text("utf-8")))
    print(f"lines of sim/ that tests run: {lines:.2f} %, branches: {branches:.2f} %")
    if lines < LEAST_PERCENT:
        sys.exit(f"at least {LEAST_PERCENT} % of the lines are to be run")


if __name__ == "__main__":
    main(sys.argv[1])
