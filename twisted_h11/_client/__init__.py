"""
The client: agents, the pool, connections, requests, responses.

Imports C{_http}, C{_wire} and what is below; never C{_server}.
"""
