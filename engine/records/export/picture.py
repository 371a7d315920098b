"""A picture of the screen made safe to stand in a page: it loads nothing, and runs nothing.

The file beside a snapshot may come from anywhere. What is kept is what our own pictures are made
of; everything else is left out.
"""

import re
from xml.etree import ElementTree

from ...text.cleaning import clean
from ..snapshot import SnapshotError

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset({"svg", "g", "defs", "style", "rect", "circle", "text", "clipPath", "title"})
_ATTRIBUTES = frozenset(
    {
        "class", "clip-path", "cx", "cy", "fill", "height", "id", "r", "rx", "shape-rendering",
        "stroke", "stroke-width", "text-anchor", "textLength", "transform", "viewBox", "width", "x",
        "y",
    }
)  # fmt: skip
_FONT_FACE = re.compile(r"@[^{};]*(?:\{[^{}]*\}|;)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LOADS = re.compile(r"url\s*\(\s*(?!#)|import|expression|\\", re.IGNORECASE)
_LOCAL = re.compile(r"url\(#[\w-]+\)")
MOST_ELEMENTS = 100_000


def inline_picture(svg: str) -> str:
    """The picture as an `<svg>` element. Raises `SnapshotError` where it is no SVG."""
    if "<!DOCTYPE" in svg or "<!ENTITY" in svg:
        raise SnapshotError("the picture is no SVG of prodtop: it declares entities")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise SnapshotError(f"the picture is no SVG: {clean(str(error))}") from error
    if root.tag != f"{{{_SVG}}}svg":
        raise SnapshotError("the picture is no SVG")
    if sum(1 for _ in root.iter()) > MOST_ELEMENTS:
        raise SnapshotError(f"the picture has more than {MOST_ELEMENTS:,} parts")
    ElementTree.register_namespace("", _SVG)
    try:
        _strip(root)
        return ElementTree.tostring(root, encoding="unicode")
    except RecursionError as error:
        raise SnapshotError("the picture is nested too deeply") from error


def _strip(element: ElementTree.Element) -> None:
    """Leave out of an element whatever is not known, and of a style what loads something."""
    for name, value in list(element.attrib.items()):
        loads = "url" in value.lower() and _LOCAL.fullmatch(value.strip()) is None
        if name not in _ATTRIBUTES or loads:
            del element.attrib[name]
        else:
            element.attrib[name] = clean(value)
    if element.text:
        element.text = clean(element.text, keep_newlines=True)
    if element.tag == f"{{{_SVG}}}style":
        element.text = _style(element.text or "")
    for child in list(element):
        if not isinstance(child.tag, str) or _local(child.tag) not in _ELEMENTS:
            element.remove(child)
        else:
            _strip(child)
            child.tail = clean(child.tail or "", keep_newlines=True)


def _local(tag: str) -> str:
    namespace, _, name = tag.rpartition("}")
    return name if namespace == f"{{{_SVG}" else ""


def _style(text: str) -> str:
    """A style sheet without fonts from elsewhere; nothing of it where it loads something else."""
    plain = _FONT_FACE.sub("", _COMMENT.sub("", text))
    return "" if _LOADS.search(plain) else plain
