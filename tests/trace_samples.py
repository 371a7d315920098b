"""Small traces written by hand, one of each format, and the same requests as entries."""

from prodtop.engine.traces.trace import TraceEntry, TraceFormat

AZURE = (
    b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
    b"2023-11-16 23:59:59.5000000,120,7\n"
    b"2023-11-17 00:00:00.2500000,33,41\n"
    b"2023-11-17 00:00:02.0000000,500,1\n"
)
AZURE_2024 = (
    b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
    b"2024-05-10 01:59:59.500000+02:00,120,7\n"
    b"2024-05-10T00:00:00.250Z,33,41\n"
    b"2024-05-10 00:00:02,500,1\n"
)
BURSTGPT = (
    b"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    b"5,ChatGPT,120,7,127,Conversation log\n"
    b"5.75,GPT-4,33,41,74,API log\n"
    b"6,GPT-4,90,0,90,API log\n"
    b"7.5,ChatGPT,500,1,501,Conversation log\n"
)
BURSTGPT_OTHER_COLUMNS = (
    b"Log Type,Timestamp,Session ID,Request tokens,Response tokens,Total tokens,Model\n"
    b'"log, of a kind",5.0,a,120.0,7.0,127,ChatGPT\n'
    b"API log,5.75,,33,41,74,GPT-4\n"
    b"API log,6.0,,90,0,90,GPT-4\n"
    b"API log,7.5,b, 500 ,1,501,ChatGPT\n"
)
MOONCAKE = (
    b'{"timestamp": 1000, "input_length": 120, "output_length": 7}\n'
    b'{"timestamp": 1750, "input_length": 33, "output_length": 41}\n'
    b'{"timestamp": 3500.0, "input_length": 500, "output_length": 1, "more": []}\n'
)
HASHED = (
    b'{"timestamp": 0, "input_length": 600, "output_length": 2, "hash_ids": [7, 9]}\n'
    b'{"timestamp": 10, "input_length": 512, "output_length": 3, "hash_ids": [7]}\n'
    b'{"timestamp": 30, "input_length": 1100, "output_length": 4, "hash_ids": [7, 11, 12]}\n'
    b'{"timestamp": 40, "input_length": 20, "output_length": 5, "hash_ids": ["c0ffee"]}\n'
)

ENTRIES = [
    TraceEntry(0.0, 120, 7, None),
    TraceEntry(0.75, 33, 41, None),
    TraceEntry(2.5, 500, 1, None),
]
"""Of all samples but the one with hashes."""

PLAIN: dict[str, tuple[bytes, TraceFormat, int]] = {
    "Azure 2023": (AZURE, TraceFormat.AZURE, 0),
    "Azure 2024": (AZURE_2024, TraceFormat.AZURE, 0),
    "BurstGPT": (BURSTGPT, TraceFormat.BURSTGPT, 1),
    "BurstGPT, other columns": (BURSTGPT_OTHER_COLUMNS, TraceFormat.BURSTGPT, 1),
    "Mooncake": (MOONCAKE, TraceFormat.MOONCAKE, 0),
}
"""Bytes, format, and how many lines have no output."""
