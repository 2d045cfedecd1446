"""
Resources for everybody: files, passwords.

It may import the public modules of the server, C{_http} and C{_boundary}.
"""
