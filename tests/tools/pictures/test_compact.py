"""A compact picture paints the same colours on the same cells, and says the same."""

import re
from xml.etree import ElementTree

from frames import play
from running_app import SVG_CELL_WIDTH, SVG_TEXT, open_app

from tools.pictures.compact import compact

SVG_RECT = "{http://www.w3.org/2000/svg}rect"
KEPT = re.compile(r"[^ \xa0]")


def painted(svg: str) -> dict[tuple[int, str], str]:
    """The fill of each cell, by its column and the row's y."""
    cells: dict[tuple[int, str], str] = {}
    for rect in ElementTree.fromstring(svg).iter(SVG_RECT):
        if rect.get("shape-rendering") is None:
            continue
        first = round(float(rect.get("x", "0")) / SVG_CELL_WIDTH)
        width = round(float(rect.get("width", "0")) / SVG_CELL_WIDTH)
        y = f"{float(rect.get('y', '0')):.2f}"
        for column in range(first, first + width):
            cells[column, y] = rect.get("fill", "")
    return cells


def said(svg: str) -> list[tuple[str, str, str]]:
    """Each piece of text that is not blank, with its place."""
    return [
        (text.get("x", ""), text.get("y", ""), text.text or "")
        for text in ElementTree.fromstring(svg).iter(SVG_TEXT)
        if KEPT.search((text.text or "").strip("\n"))
    ]


async def test_what_is_seen_stays_the_same_in_half_the_bytes() -> None:
    async with open_app(play(10), size=(120, 36)) as running:
        svg = running.app.export_screenshot()
    smaller = compact(svg)
    assert painted(smaller) == painted(svg)
    assert said(smaller) == said(svg)
    assert len(smaller.encode()) < 0.7 * len(svg.encode())
    assert compact(smaller) == smaller
