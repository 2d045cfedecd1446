"""
The programs: C{twistd h11web} and C{python -m twisted_h11}.

Imports the public modules, C{_boundary}, C{_http} for the grammar, and C{_tls} for the
files of endpoints.
"""
