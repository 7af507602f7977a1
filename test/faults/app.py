"""The app of the fault runs. /healthz answers at once; everything else is 5 ms of work, with a line in the journal when the
request arrives and another when it is executed: one write each to a file opened for appending, so lines never mix."""

import os
import socket
import time

JOURNAL = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
ENDPOINT = os.environ.get("ENDPOINT") or socket.gethostname()
WORK_S = 0.005


def note(event, id):
    os.write(JOURNAL, f"{event} {id} {ENDPOINT}\n".encode())


def application(environ, start_response):
    path = environ["PATH_INFO"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    if path == "/healthz":
        return answer(start_response, "200 OK", "well\n")
    id = path.rpartition("/")[2]
    if len(body) != length or (length and not body.startswith(f"id={id}&".encode())):
        return answer(start_response, "400 Bad Request", "torn\n")
    note("arrived", id)
    time.sleep(WORK_S)
    note("executed", id)
    return answer(start_response, "200 OK", f"did {id}\n")


def answer(start_response, status, text):
    body = text.encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
