"""
L{twisted_h11.protocol}.
"""
