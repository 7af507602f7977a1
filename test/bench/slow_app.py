"""The app behind test/bench/slow.ts: a page, a large answer, and an upload that is read to its end."""

MEBIBYTE = b"Causeway" * (1024 * 1024 // 8)
BIG_MEBIBYTES = 32
PAGES = {"/": b"." * 103 + b"\n", "/10k": b"." * 10240}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/big":
        start_response("200 OK", [("Content-Length", str(BIG_MEBIBYTES * len(MEBIBYTE)))])
        return (MEBIBYTE for _ in range(BIG_MEBIBYTES))
    while environ["wsgi.input"].read(65536):
        pass
    body = PAGES.get(path, b"done\n")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
