"""`python -m prodtop.engine.worker --options JSON --channel-fd N`: the worker process."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
