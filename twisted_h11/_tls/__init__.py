"""
The server's side of TLS: certificates and keys in files, and what OpenSSL is told of
them.  Knows nothing of HTTP, and imports nothing of ours but C{_boundary}.
"""
