"""API keys as they travel: as hashes alone, since a process's options can be read by others."""

import hashlib

LEAST_KEY_CHARS = 16
"""Of its hash a shorter key could be guessed by whoever lists this machine's processes."""


def key_hash(key: bytes) -> str:
    """SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(key).hexdigest()
