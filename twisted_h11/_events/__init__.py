"""
The events of h11 on a wire: in, one after the other, and out.

Imports C{_http}, C{_wire} and what is below.
"""
