"""The outline of a screen: what a picture shows, without the figures that every run has anew.

It is stored in the picture's `<desc>`. Where the screen has changed since, the app's outline is
another one, and the picture is old.
"""

from collections.abc import Iterator
from itertools import takewhile
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import msgspec
from prodtop.tui.app import ProdtopApp
from prodtop.tui.widgets.lines import LinesView
from prodtop.tui.widgets.panel import Panel
from textual.screen import Screen
from textual.widget import Widget

from .compact import compact

_DESC = "{http://www.w3.org/2000/svg}desc"


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A screen at some size without its figures. `gpus` are those of the machine it ran on: what is
    placed where depends on them."""

    scene: str
    columns: int
    rows: int
    gpus: int
    widgets: list[str]
    """`Type#id` of each that is seen, of dialogs as well, and the title's words of a panel."""
    footer: str
    """The keys at the bottom."""


def outline_of(app: ProdtopApp, scene: str) -> Outline:
    """The outline of what the app shows now."""
    host = app.monitor.moment().host
    return Outline(
        scene=scene,
        columns=app.size.width,
        rows=app.size.height,
        gpus=0 if host is None else len(host.gpus),
        widgets=[line for screen in app.screen_stack for line in _widgets(screen)],
        footer=_footer(app.screen_stack[0]),
    )


def _widgets(screen: Screen[object]) -> Iterator[str]:
    for widget in screen.walk_children(Widget):
        if all(each.display for each in (widget, *widget.ancestors_with_self)) and widget.size:
            name = f"{type(widget).__name__}#{widget.id or ''}"
            yield f"{name} {title_words(widget.title)}" if isinstance(widget, Panel) else name


def title_words(title: str) -> str:
    """A title's first words, up to a figure, a name or an age: `GPU 0 · NVIDIA` is `GPU`."""
    words = title.partition("  ")[0].split(" ")
    return " ".join(takewhile(str.isalpha, words))


def _footer(screen: Screen[object]) -> str:
    for view in screen.query("#footer").results(LinesView):
        return "\n".join(line.plain.strip() for line in view.lines)
    return ""


def picture(app: ProdtopApp, outline: Outline) -> str:
    """The screen as SVG with its outline."""
    svg = compact(app.export_screenshot(title="prodtop"))
    opening, closed, rest = svg.partition(">")
    desc = escape(msgspec.json.encode(outline).decode())
    return f"{opening}{closed}\n<desc>{desc}</desc>{rest}"


def read_outline(svg: str) -> Outline:
    """The outline in a picture. Raises `ValueError` where there is none."""
    desc = ElementTree.fromstring(svg).find(_DESC)
    if desc is None or not desc.text:
        raise ValueError("the picture has no outline: run make pictures")
    return msgspec.json.decode(desc.text, type=Outline)
