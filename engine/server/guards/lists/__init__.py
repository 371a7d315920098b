"""The word and pattern lists that ship: examples to copy and edit, one file a subject."""
