"""The app behind test/bench/overload.ts: 20 ms of work that a worker spends waiting, and a large answer without any."""

import time

WORK_S = 0.02
SMALL = b"." * 103 + b"\n"
LARGE = b"." * 10240


def application(environ, start_response):
    is_work = environ["PATH_INFO"] == "/"
    if is_work:
        time.sleep(WORK_S)
    body = SMALL if is_work else LARGE
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
