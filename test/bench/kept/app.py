"""A bare ASGI app with answers of the sizes that the benchmarks expect."""
import os

SMALL = b"x" * int(os.environ["SMALL_BYTES"])
LARGE = b"x" * int(os.environ["LARGE_BYTES"])


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    body = LARGE if scope["path"] == "/10k" else SMALL
    fields = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})
