"""
L{twisted_h11.metrics}.
"""
