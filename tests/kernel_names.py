"""Print the hashes by which compiled kernels are named, as JSON; a child of tests.

    python kernel_names.py settled|unsettled MODULE:KERNEL …

They are hashed in this order: `settled`, what each calls first.
"""

import json
import sys
from importlib import import_module

from prodtop.engine.kernels.common.kernel_hashes import settle_hash


def main(order: str, kernels: list[str]) -> None:
    hashes = {}
    for each in kernels:
        module, name = each.split(":")
        kernel = getattr(import_module(f"prodtop.engine.kernels.{module}"), name)
        if order == "settled":
            settle_hash(kernel)
        hashes[each] = kernel.cache_key
    print(json.dumps(hashes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
