"""`python -m prodtop.engine.server --options JSON --channel-fd N --handover-fd N`: the server."""

import sys

from ..protocol.child_process import channel_fd_of, die_with_parent

if __name__ == "__main__":
    # Before uvicorn is imported: the parent may end meanwhile.
    die_with_parent(channel_fd_of(sys.argv))
    from .main import main

    sys.exit(main())
