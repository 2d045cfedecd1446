"""
What the tests of the client share: a server in memory that does as it is told.
"""
