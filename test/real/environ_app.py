"""A bare WSGI app that says what it was asked, in the variables of its server."""
import hashlib
import json
import os
import signal


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/large":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "100000")])
        return [b"large " * 16666 + b"end."]
    if path == "/ignore":
        # Answers without reading what was sent.
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"no"]
    if path == "/cut":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1000")])
        return [b"not all of it"]
    digest = hashlib.sha256()
    length = 0
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    said = {key: value for key, value in environ.items() if isinstance(value, str)}
    said.update(pid=os.getpid(), body_sha256=digest.hexdigest(), body_length=length)
    answer = json.dumps(said).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
