"""The only package that opens files: whole writes, new names, logs, bounded reads."""
