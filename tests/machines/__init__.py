"""
The server, the client, the pool and the reader of events as state machines: hypothesis
chooses what the peer, the application and time do next, and after each step everything
is looked at.

C{server} (with C{served}, C{server_peer} and C{server_application}), C{client} (with
C{client_calls}), C{pool} and C{events} (with C{events_application}) are the machines;
C{application} is what the server serves, C{asked} what its peer asks, C{scripted} the
servers that the client talks to, C{base} what all have in common.
C{python -m tests.machines --examples N} runs them for longer than the suite does.
"""
