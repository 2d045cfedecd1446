"""
The programs, and what they are told.
"""
