"""
What fails, one thing at a time, wherever a connection is at that moment.

One table: stage x fault x role x transport (L{tests.faults.table}).  Each row brings a
connection to a stage, has one thing fail there, and looks at what is left:
C{python -m tests.faults} runs them all and prints the table.
"""
