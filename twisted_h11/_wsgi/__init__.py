"""
WSGI applications in threads of their own.

Imports C{_server} and what is below.
"""
