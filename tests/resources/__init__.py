"""
L{twisted_h11.wsgi}.
"""
