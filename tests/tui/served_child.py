"""The command `prodtop` with a real engine and a real server: its arguments are `ARGUMENTS`."""

import os
import sys

from prodtop.tui.commands.main import main

if __name__ == "__main__":
    sys.argv = ["prodtop", *os.environ["ARGUMENTS"].split("\n")]
    main()
