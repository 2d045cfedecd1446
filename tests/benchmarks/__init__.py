"""
How fast, and how small, compared with whom: benchmarks that anyone can run.

C{python -m tests.benchmarks} runs them all, C{--list} says what there is.
Nothing is installed: what is missing (a peer, C{wrk}) is named and left out.

Rules, without which the figures would mean nothing:

- Every figure that is compared is a ratio against a named peer.  An absolute
  number says more about the machine, and its neighbours, than about a server.
- Sides are measured in turn, in rounds, in changing order; what is reported is
  the median of the rounds' ratios, and their lowest and highest.
- Both sides do the same work: the same requests, the same answer, checked
  before it is timed, and the same access log: a file on both sides, Twisted's
  log on both sides, or none on both.
- Peers run the way their documentation tells people to run them, with one
  worker, because it is one core that is measured.
- What can not be measured is listed with the reason, never left out silently.

There are several levels: L{memory<tests.benchmarks.memory>} (CPU time per request,
in this process, with a transport in memory; steady, so the regression guard compares
it), and those of L{tests.benchmarks.levels}: requests per second over loopback, memory
of idle connections, one large body up and down, and the client's Agent.
"""

__all__: list[str] = []
