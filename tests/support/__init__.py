"""
What the tests share.

Cases to derive from: C{server_cases}, C{client_cases}, C{protocol_cases} (in memory,
on a clock), C{socket_cases} (the same over TCP, TLS and UNIX sockets), C{app_cases},
C{long_cases}.  What these stand on: C{memory} (the transport), C{wire} and
C{client_memory} (who is at its other end), C{responses}, C{producers}, C{leaks},
C{times}.
"""
