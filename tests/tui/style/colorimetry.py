"""How far apart colours are, to eyes: contrast and distance, of 24-bit colours and of the 256."""

import colorsys
import math

from rich.color import Color, ColorSystem

GREY_SATURATION = 0.25
"""Colours with less (HSV) are greys to the eye, with a cast."""


def luminance(color: Color) -> float:
    """Relative luminance, WCAG 2.2."""
    red, green, blue = _linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio, WCAG 2.2: 1 … 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def in_256_colors(color: Color) -> Color:
    """What a terminal of 256 colours is sent for it."""
    return color.downgrade(ColorSystem.EIGHT_BIT)


def distance(one: Color, other: Color) -> float:
    """Distance in CIELAB (ΔE*ab, CIE 1976, white D65): 2.3 is just noticeable."""
    return math.dist(_lab(one), _lab(other))


def saturation(color: Color) -> float:
    """Of HSV, 0 … 1."""
    return colorsys.rgb_to_hsv(*color.get_truecolor().normalized)[1]


def _linear(color: Color) -> list[float]:
    return [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in color.get_truecolor().normalized
    ]


def _lab(color: Color) -> tuple[float, float, float]:
    """CIELAB from sRGB (IEC 61966-2-1)."""
    red, green, blue = _linear(color)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    curved = [
        part ** (1 / 3) if part > (6 / 29) ** 3 else part / (3 * (6 / 29) ** 2) + 4 / 29
        for part in (x, y, z)
    ]
    return 116 * curved[1] - 16, 500 * (curved[0] - curved[1]), 200 * (curved[1] - curved[2])
