"""
The same requests for us and for other servers: who understands what?

C{requests} makes them, C{peers} and C{echo} start servers that tell what they
understood, C{asking} asks them, C{rows} has what is known to differ and why, C{chains}
puts us behind proxies, and C{python -m tests.differential} runs it all.
"""
