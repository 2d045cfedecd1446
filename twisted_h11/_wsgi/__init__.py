"""
WSGI applications in threads of their own.

Imports C{_server}, C{_http} and C{_boundary}.
"""
