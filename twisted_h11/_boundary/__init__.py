"""
The boundary to code outside this package: checks of applications' arguments, calls into
applications, overridden methods, the few private names of Twisted, and the environment.

Imports nothing of this package.
"""
