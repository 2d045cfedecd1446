"""
The C{twistd h11web} command, as twistd finds it.
"""

from twisted.application.service import ServiceMaker

twistedH11Web = ServiceMaker(
    "Twisted h11 web",
    "twisted_h11.tap",
    "A strict, bounded HTTP/1.1 server for files, WSGI applications and resources.",
    "h11web",
)
