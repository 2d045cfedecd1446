"""
Where our code meets code of others: the arguments that applications give, calls into
applications, what they override, the few private names of Twisted, and what the
environment says.

Imports nothing of ours.
"""
