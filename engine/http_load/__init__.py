"""The load generator over HTTP: the same requests, at the same moments, to any OpenAI server."""
