"""
Ready-made resources: files, passwords, the redirect to TLS.

Imports C{_server}, C{interfaces}, C{_http} and C{_boundary}.
"""
