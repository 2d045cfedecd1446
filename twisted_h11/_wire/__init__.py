"""
Bytes on a Twisted transport: writing, back-pressure, files, time-outs, closing.

Knows nothing of HTTP.  Imports C{_boundary} and C{limits}.
"""
