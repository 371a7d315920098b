"""A planned layout as the configuration of a training engine, with the line that starts it.

Pure text: nothing here imports an engine. Start at `engines`; `contract` says what an export is and
how one is refused. Each engine has a file of its own.
"""
