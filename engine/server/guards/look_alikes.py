"""Characters of other scripts that look like a Latin letter, and signs written for letters.

Made by hand for the guards: single characters alone, no pairs such as `rn` for `m`. What Unicode
itself decomposes (fullwidth, mathematical, circled, superscript) is not listed: `folding.py` has it
from there.
"""

from collections.abc import Iterator, Mapping


def _pairs(table: str) -> Iterator[tuple[str, str]]:
    """`a:xyz b:vw` as pairs from each of `xyz` to `a`, and so on."""
    for entry in table.split():
        latin, _, others = entry.partition(":")
        for other in others:
            yield other, latin


def _run(first: int) -> Iterator[tuple[str, str]]:
    """The 26 characters from the code point `first`, to a … z."""
    for place in range(26):
        yield chr(first + place), chr(ord("a") + place)


CAPITALS: Mapping[str, str] = dict(_pairs("h:Η n:Ν y:Υ m:Μ z:Ζ u:Ս s:Տ l:Լ"))
"""Capitals that look like another letter than their small form does; to a small Latin letter."""

LOOK_ALIKES: Mapping[str, str] = {
    **dict(
        _pairs(
            # Cyrillic, small and as its capital looks.
            "a:а b:вь c:с d:ԁ e:еєҽ h:нһ i:іӏ j:ј k:кқ l:ⅼ m:м n:пո o:о p:р q:ԛ r:гᴦ s:ѕ t:т "
            "u:ц v:ѵ w:ѡԝш x:хҳ y:уүұ "
            # Greek.
            "a:αά b:β c:ϲ e:ε i:ι j:ϳ k:κ n:η o:οσ p:ρ t:τ u:υμ v:ν w:ω x:χ y:γ "
            # Armenian and Hebrew letters that are drawn as o and such.
            "o:օ u:ս q:զ h:հ g:ց "
            "o:ס "
            # Latin beyond ASCII which Unicode does not decompose.
            "a:ɑᴀ ae:æ b:ƀɓʙ c:ƈᴄ d:đɖɗᴅ e:ɇǝəᴇ f:ƒꜰ g:ɡɢǥ h:ħɦʜ i:ıɩɪɨ j:ʝᴊ k:ƙᴋ l:łƚɫʟ m:ᴍɱ "
            "n:ŋɲɴ o:øɵᴏ oe:œ p:ƥᴘ q:ʠ r:ɍɾʀ s:ʂꜱ t:ŧƭᴛ u:ʉᴜ v:ʋᴠ w:ᴡ x:ᶍ y:ƴʏɏ z:ƶʐᴢ"
        )
    ),
    **dict(_run(0x1F150)),
    **dict(_run(0x1F170)),
    **dict(_run(0x1F1E6)),
}
"""After case folding. Negative circled and squared letters and regional indicators as well."""

LEET: Mapping[str, str] = dict(_pairs("a:4@ b:8 e:3 g:9 i:1!|l o:0 s:5$ t:7+ z:2"))
"""Signs that are read as letters; `l` and `i` are one, since `1` stands for both."""

LEET_SIGNS = frozenset(LEET) - {"l"}
"""Without one of these a text is not written in signs."""

PUNCTUATION: Mapping[str, str] = dict(_pairs("':‘’‛`´ʹʼ′ \":“”„‟″ -:‐‑‒–—―−⁃ .:。 ,:、"))
"""Quotation marks, dashes, stops."""
