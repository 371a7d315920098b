"""Recordings: every poll of a session in one SQLite file. Format: docs/sessions.md.

`tick` is what one poll brought; `values` says how exactly figures are kept, `encoding` and
`decoding` turn ticks into changes since the tick before, `packing` compresses those. `database` is
the file, `writer` the thread that writes it, `reader` what opens it again.
"""
