"""The screen over an engine, and the command line. Never imports torch."""
