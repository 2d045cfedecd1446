"""
C{python -m twisted_h11 URL}: see L{twisted_h11._command.fetch}.
"""

import sys

if __name__ == "__main__":
    try:
        from twisted_h11._command.fetch_run import main

        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        # Raised before the reactor runs, or after it.
        sys.exit(130)
