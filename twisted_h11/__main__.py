"""
C{python -m twisted_h11 URL}: see L{twisted_h11._fetch}.
"""

import sys

from twisted_h11._fetch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
