"""`prodtop attach` without an address: the servers on this machine."""

import asyncio

import msgspec

from ...engine.attach.discovery import found_servers
from ...engine.protocol import Frame
from ...engine.protocol.errors import ProdtopError
from ...engine.text.cleaning import clean
from ..style.formatting import count
from .json_output import print_json


def list_found(*, as_json: bool) -> None:
    """List them. Raises `ProdtopError` where none is found."""
    frames = asyncio.run(found_servers())
    if not frames:
        raise ProdtopError(
            "no serving engine answers on this machine's ports: give an address, prodtop attach URL"
        )
    for frame in frames:
        if as_json:
            print_json(msgspec.to_builtins(frame.attached))
        else:
            print(_line(frame))


def _line(frame: Frame) -> str:
    attached = frame.attached
    if attached is None:
        return ""
    served = f"{attached.kind} {attached.version or ''}".strip()
    return clean(
        f"{attached.url}  {served}  {frame.model.name or '--'}"
        f"  {count(frame.queue.running)} running, {count(frame.queue.waiting)} waiting"
    )
