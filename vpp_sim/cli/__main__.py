"""``python -m vpp_sim.cli``: the command line where ``vpp-sim`` is not on the path."""

import sys

from vpp_sim.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
