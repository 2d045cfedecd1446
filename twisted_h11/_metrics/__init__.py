"""
What a site counts, and how it is shown: numbers, the format of Prometheus, a page.

Imports C{_boundary} only.  A site calls it, by what is in C{Metrics}.
"""
