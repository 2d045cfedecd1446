"""
A long run: servers as operators start them, under load by everybody there is.

C{python -m tests.soak --seconds 60} starts C{twistd h11web}, with one process and with
workers, each with a TCP, a TLS and a UNIX endpoint, and loads them for that long:

- good clients (L{good<tests.soak.good>}, and our Agent, L{agent<tests.soak.agent>})
  look at every answer: its status, every byte of its content, and that it belongs to
  the request, since each content is made from a token in the request's target;
- slow, hostile and vanishing clients (L{bad<tests.soak.bad>}) disturb.

Meanwhile memory, descriptors and connections are read from C{/proc} and from the
server's own C{/metrics}.  What was found is a JSON document, which L{report<
tests.soak.report>} judges and L{chart<tests.soak.chart>} draws.

The good clients alone use C{PUT}, C{DELETE} and C{PATCH}: of these the server must have
counted exactly as many as they.  Of all requests together it must have counted no fewer
than were answered, and no more than were sent.
"""

__all__: list[str] = []
