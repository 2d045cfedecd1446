"""
A Django application in one file; a project has the same name in its wsgi.py.
"""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for trying it out"),
)


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello from Django, {request.META['REMOTE_ADDR']}!\n")


urlpatterns = [path("", hello)]
application = get_wsgi_application()
