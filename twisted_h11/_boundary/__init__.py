"""
Where our code meets code of others: the arguments that applications give, calls into
applications, what they override, and the few private names of Twisted.

Imports nothing of ours.
"""
