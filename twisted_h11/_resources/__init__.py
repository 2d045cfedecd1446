"""
Resources for everybody: files, passwords, the way to TLS.

Imports C{_server}, C{interfaces}, C{_http} and C{_boundary}.
"""
