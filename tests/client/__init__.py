"""
The client.
"""
