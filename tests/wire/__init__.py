"""
Bytes on a transport, and back-pressure.
"""
