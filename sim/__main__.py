"""``python -m sim`` is ``contention-sim``."""

from sim.cli import main

main()
