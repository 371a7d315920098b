"""`python -m prodtop.engine.worker --options JSON --channel-fd N`: the worker process."""

import sys

from ..protocol.child_process import channel_fd_of, die_with_parent

if __name__ == "__main__":
    # Before torch is imported, which takes seconds: the parent may end meanwhile.
    die_with_parent(channel_fd_of(sys.argv))
    from .main import main

    sys.exit(main())
