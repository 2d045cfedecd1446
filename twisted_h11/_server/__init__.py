"""
The server: connections, requests, responses, resources, the site.

Imports C{_events}, C{_http}, C{_wire} and what is below; never C{_client}.
"""
