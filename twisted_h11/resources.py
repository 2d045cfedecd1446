"""
General resources: the files of a directory, resources behind a password, and resources
that are served with TLS only.

::

    from twisted_h11.resources import FilePolicy, PasswordFile, PublicFile, protect

    files = PublicFile("/srv/www")
    files.policy = FilePolicy(precompressed=True, cacheControl=b"max-age=3600")
    root = protect(files, PasswordFile("/etc/h11web.passwd"))

C{twistd h11web} uses them for C{--path} and C{--basic-auth}.
"""

from twisted_h11._resources.file_policy import FilePolicy
from twisted_h11._resources.https_redirect import HTTPSRedirect
from twisted_h11._resources.passwords import PasswordFile
from twisted_h11._resources.protected import protect
from twisted_h11._resources.public_files import SCRIPTS, PublicFile

__all__ = [
    "SCRIPTS",
    "FilePolicy",
    "HTTPSRedirect",
    "PasswordFile",
    "PublicFile",
    "protect",
]
