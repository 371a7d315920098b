"""Whether serving is ready for production: items, each proved by a measurement with its time.

Pure but for the file of proofs (`store.py`) and the drills, which talk to a server over HTTP.
"""
