"""
The Law of the fast path as functions, and fuzz targets that call them.
"""
