"""A recording in formats that other programs read: each a function from it to lines of text."""
