"""
What a site counts, and how it is shown: numbers, the format of Prometheus, a page.

It may import C{_boundary}.  A site calls it, by what is in C{Metrics}.
"""
