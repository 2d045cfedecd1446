"""
What C{testing} consists of: both ends in memory.

Imports the public modules and C{_boundary}.
"""
