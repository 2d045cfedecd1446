"""
What the tests share: a peer in memory, parsed responses, leak checks, sockets.
"""
