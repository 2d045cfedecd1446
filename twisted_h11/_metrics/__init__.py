"""
The metrics of a site: numbers, the format of Prometheus, a page.

Imports C{_boundary} only.  A site uses it through C{Metrics}.
"""
