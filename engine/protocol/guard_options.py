"""Guards as the server process is started with them."""

import msgspec


class GuardOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`table` is `[guards]` as it was read, every default filled in; lists are sought from
    `folder`.

    The table's own schema is the server's (`engine/server/guards/settings.py`).
    """

    table: dict[str, object]
    folder: str
