"""llama.cpp's own HTTP server, as xllamacpp's wheel has it compiled: PORT, FILE, SLOTS, CONTEXT."""

import sys
import threading
from pathlib import Path

import xllamacpp

port, model, slots, context_tokens = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.model_alias = {Path(model).stem}
params.hostnames = ["127.0.0.1"]
params.port = int(port)
params.n_parallel, params.n_ctx = int(slots), int(context_tokens)
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
# As --metrics and --slots of llama-server.
params.endpoint_metrics = params.endpoint_slots = True
server = xllamacpp.Server(params)
threading.Event().wait()
