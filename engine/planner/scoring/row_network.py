"""The network between nodes of a published run, from what its row says in words."""

import re

_INSIDE = re.compile(r"nvlink|nvswitch|xgmi|infinity fabric|pcie")
_RATE = re.compile(
    r"(?:(?P<nics>[1-9]\d?)\s*[xX×]\s*)?"
    r"(?P<rate>\d{1,5}(?:\.\d+)?)\s*(?P<scale>[tTgG])(?P<unit>bits?|b|B)(?:ps|/s)?\b"
)
_NAMED = re.compile(
    r"(?:(?P<nics>[1-9]\d?)\s*[x×]\s*)?(?P<name>edr|hdr|ndr|xdr)\s*(?P<rate>\d{3})?\b"
)
_GENERATIONS = {"edr": 100, "hdr": 200, "ndr": 400, "xdr": 800}
"""Gb/s of an InfiniBand port (IBTA roadmap)."""
LEAST_NIC_BITS_S = 100e9
"""A rate up to this, with no word on whose it is, is a node's: each GPU had more since 2020."""


def network_bytes_s(words: str, node_gpus: int) -> float | None:
    """Bytes per second and direction of each GPU's share, or nothing where the words say none.

    `words` are a row's interconnect, such as `NVLink 600GB/s; 8x HDR200 IB per node`. Several NICs
    (`8x`) are a node's, and so is what `per node` follows. A rate alone is each GPU's, unless it is
    no more than `LEAST_NIC_BITS_S`.
    """
    for part in re.split(r"[;,+]|\band\b", words):
        if _INSIDE.search(part.lower()):
            continue
        found = _rate(part)
        if found is not None:
            bits, nics = found
            whole = re.search(r"(per|/|a|each) ?(node|server|host|machine|instance)", part.lower())
            if nics is not None:
                return bits * nics / 8 / node_gpus
            shared = whole or (bits <= LEAST_NIC_BITS_S and "gpu" not in part.lower())
            return bits / 8 / (node_gpus if shared else 1)
    return None


def _rate(part: str) -> tuple[float, int | None] | None:
    """Bits per second of one NIC, and how many there are where it is said."""
    found = _RATE.search(part)
    if found:
        bits = float(found["rate"]) * (1e12 if found["scale"] in "tT" else 1e9)
        if found["unit"].endswith("B"):
            bits *= 8
    else:
        found = _NAMED.search(part.lower())
        if found is None:
            return None
        bits = 1e9 * float(found["rate"] or _GENERATIONS[found["name"]])
    return (bits, int(found["nics"]) if found["nics"] else None) if bits else None
