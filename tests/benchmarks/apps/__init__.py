"""
What the servers serve: the same answers from every one of them.
"""

__all__: list[str] = []
