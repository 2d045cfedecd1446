"""
The grammar, the fast path and the decoders.
"""
