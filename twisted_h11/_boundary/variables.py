"""
Environment variables that a server with workers sets for them.
"""

from __future__ import annotations

__all__ = ["METRICS_DIRECTORY", "WORKER"]

WORKER = "H11WEB_WORKER"
"""
The number of a worker.
"""

METRICS_DIRECTORY = "H11WEB_METRICS_DIRECTORY"
"""
Where workers keep their numbers.
"""
