"""`python -m firstline.orchestrator.cli` is `firstline`."""

import sys

from firstline.orchestrator.cli import main

if __name__ == "__main__":
    sys.exit(main())
