"""
The implementation of C{testing}: both ends in memory.

Imports the public modules and C{_boundary}.
"""
