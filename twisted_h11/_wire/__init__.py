"""
Bytes on a Twisted transport, below HTTP: writing, back-pressure, files, time-outs,
closing.

Imports C{_boundary} and C{limits}.
"""
