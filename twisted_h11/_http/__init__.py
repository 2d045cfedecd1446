"""
HTTP/1.1 as pure functions and small decoders: bytes in, messages out, and back.

Without input or output.  Imports C{limits}.
"""
