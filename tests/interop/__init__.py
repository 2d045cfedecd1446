"""
Other people's programs, as peers and as applications.
"""
