"""
A Flask application.
"""

from __future__ import annotations

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return f"Hello from Flask, {request.remote_addr}!\n"


@app.put("/count")
def count() -> str:
    size = 0
    # Read as it arrives: the client waits while nobody reads.
    while data := request.stream.read(65536):
        size += len(data)
    return f"{size} bytes\n"
