"""Reading traces of requests, writing their lines, and what is in one."""
