"""
Resources for everybody: files, passwords, the way to TLS.

It may import C{server}, C{interfaces}, C{_http} and C{_boundary}.
"""
