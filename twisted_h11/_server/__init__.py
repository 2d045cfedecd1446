"""
The server: connections, requests, responses, resources, the site.

Imports C{protocol}, C{_http}, C{_wire} and what is below; never C{_client}.
"""
