"""Themes, inks, glyphs and the formats of numbers."""
