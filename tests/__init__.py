"""
The tests of twisted-h11, one file per behaviour.
"""

from __future__ import annotations

import os
import signal

# A job of a script ignores Ctrl-C, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

try:
    from hypothesis import settings
except ImportError:
    # The servers of the benchmarks run where it need not be installed.
    pass
else:
    # The same examples each time, on every machine: what fails, fails for whoever
    # looks at it.  A long run tries others.
    settings.register_profile(
        "same",
        derandomize=os.environ.get("TWISTED_H11_LONG", "0") == "0",
        database=None,
        deadline=None,
    )
    settings.load_profile("same")
