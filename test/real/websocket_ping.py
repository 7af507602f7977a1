"""Pings the server at URL until it has answered three times, then closes; prints the code of the close."""
import asyncio
import sys

import websockets


async def main(url):
    async with websockets.connect(url) as connection:
        for _ in range(3):
            await asyncio.wait_for(await connection.ping(), 10)
        await connection.close(1000)
        print(connection.close_code)


asyncio.run(main(sys.argv[1]))
