"""
The server, the client and the pool as state machines: hypothesis chooses what the peer,
the application and time do next, and after each step everything is looked at.

C{server}, C{client} and C{pool} have the rules; C{application} is what the server
serves, C{asked} what its peer asks, C{scripted} the server that the client talks to,
C{base} what all have in common.  C{python -m tests.machines --examples N} runs them for
longer than the suite does.
"""
