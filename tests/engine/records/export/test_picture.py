"""A picture in a page loads nothing and runs nothing, whatever the file holds."""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.records.export.picture import inline_picture
from prodtop.engine.records.snapshot import SnapshotError

SVG = "http://www.w3.org/2000/svg"
PICTURES = sorted(
    (Path(__file__).parents[3] / "tui/__snapshots__/test_live_snapshots").glob("*.svg")
)


def wrapped(body: str, attributes: str = "") -> str:
    return (
        f'<svg xmlns="{SVG}" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{body}</svg>'
    )


def loads_something(svg: str) -> bool:
    outside = re.sub(rf'xmlns(:\w+)?="{SVG}"', "", svg)
    return bool(
        re.search(
            r"https?:|//|url\((?!#)|@import|javascript|<script|\bon\w+=|href|data:", outside, re.I
        )
    )


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_our_own_pictures_stay_but_for_their_fonts(path: Path) -> None:
    before, after = path.read_text(), inline_picture(path.read_text())
    assert not loads_something(after)

    def texts(svg: str) -> list[str]:
        return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{{{SVG}}}text")]

    def rules(svg: str) -> set[str]:
        return set(re.findall(r"\.terminal-\d+-r\d+ \{[^}]*\}", svg))

    assert texts(after) == texts(before)
    assert rules(after) == rules(before)
    assert after.count("<rect") == before.count("<rect")


HOSTILE = {
    "script": "<script>alert(1)</script><text>a</text>",
    "handler": '<text onload="alert(1)" onclick="x">a</text>',
    "image": '<image href="http://e.org/a.png"/><text>a</text>',
    "link": '<a xlink:href="javascript:x"><text>a</text></a>',
    "use": '<use xlink:href="http://e.org/a.svg#b"/>',
    "foreign": '<foreignObject><iframe xmlns="urn:html" src="//e.org"/></foreignObject>',
    "html": '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>',
    "style": "<style>@import url(http://e.org/a.css); .a { fill: url(http://e.org) }</style>",
    "style with escapes": r"<style>.a { background: u\72l(http://e.org) }</style>",
    "style in a comment": "<style>.a { background: u/**/rl(//e.org/a) }</style>",
    "fill": '<rect fill="url(http://e.org/a#b)" style="fill: url(//e.org)"/>',
    "animation": '<animate attributeName="href" to="http://e.org"/><set onbegin="x"/>',
    "instruction": '<?xml-stylesheet href="http://e.org/a.css"?><text>a</text>',
    "comment": "<!-- --><script>alert(1)</script>",
    "style with a tag": "<style>&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;</style>",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_loads_or_runs_is_left_out(body: str) -> None:
    assert not loads_something(inline_picture(wrapped(body)))


@pytest.mark.parametrize(
    "svg",
    [
        "",
        "<svg",
        "<html/>",
        "<svg/>",
        '<!DOCTYPE svg [<!ENTITY a "b">]>' + wrapped("&a;"),
        wrapped("<g>" * 50_000 + "</g>" * 50_000),
        wrapped("<g/>" * 150_000),
    ],
    ids=["empty", "cut", "html", "no namespace", "entities", "deep", "many"],
)
def test_what_is_no_picture_of_ours_is_one_line(svg: str) -> None:
    with pytest.raises(SnapshotError) as caught:
        inline_picture(svg)
    assert str(caught.value).isprintable()


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_whatever_stands_in_it(text: str, style: str) -> None:

    body = f"<style>{escape(style)}</style><text class={quoteattr(text)}>{escape(text)}</text>"
    try:
        safe = inline_picture(wrapped(body))
    except SnapshotError:
        return
    ElementTree.fromstring(safe)
    assert not re.search(r"url\((?!#)|@import", safe)
