"""Between clients and a server of others: passes everything on, and measures what passes."""
