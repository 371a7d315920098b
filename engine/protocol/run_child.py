"""`python -m prodtop.engine.protocol.run_child MODULE …`: runs a module that ends with its parent.

For modules that import for seconds before they run, and for those of others, such as torchrun: it
is seen to before anything of them is imported. `options.child_command` writes the command line.
"""

import runpy
import sys

from .child_process import die_with_parent

if __name__ == "__main__":
    # Whoever reads the output is gone where nobody does: known also where the parent, such as
    # torchrun, has ended before its end could be asked for.
    die_with_parent(sys.stdout.fileno())
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
