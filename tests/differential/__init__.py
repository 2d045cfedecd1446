"""
The same requests for us and for other servers: who understands what?

C{requests} makes them, C{peers} and C{echo} start servers that tell what they
understood, C{asking} asks them, C{rows} has what is known to differ and why, C{chains}
puts us behind proxies, and C{python -m tests.differential} runs it all.

The same for clients, by C{python -m tests.differential.client}: C{client_answers} makes
answers, C{client_origin} gives them, C{client_fetch} is a client that tells what it has
read, and C{client_rows} has what is known to differ.
"""
