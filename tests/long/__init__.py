"""
Long cases: large bodies, many slow clients, attacks, shutdown under load.

Each runs for up to a minute and measures a server in a process of its own, so
they are a suite by themselves: C{python -m twisted.trial tests.long}.  The
figures that they found are printed.
"""
