"""
The metrics of a site, and a resource for a status site.

::

    from twisted_h11.metrics import Metrics, StatusResource
    from twisted_h11.server import Site
    from twisted_h11.service import SiteService

    metrics = Metrics()
    site = Site(root, metrics=metrics)
    status = Site(StatusResource(metrics, lambda: site.isDraining))
    SiteService([("tcp:8080", site), ("tcp:9000:interface=127.0.0.1", status)])

C{/metrics} needs C{prometheus-client} (C{twisted-h11[metrics]}).
"""

from twisted_h11._metrics.metrics import Metrics
from twisted_h11._metrics.status import StatusResource

__all__ = ["Metrics", "StatusResource"]
