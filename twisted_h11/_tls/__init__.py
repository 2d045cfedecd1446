"""
The server's side of TLS: certificates and keys in files, and the OpenSSL contexts for
them, without HTTP.  Imports C{_boundary} only.
"""
