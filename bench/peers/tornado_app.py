"""tornado.web.Application: the method runs in process, no worker, no hop."""

import asyncio
import json
import logging
import sys

import tornado.web


class Call(tornado.web.RequestHandler):
    """Answers a call with its parameters."""

    def post(self) -> None:
        """Decode, echo, encode."""
        parameters = json.loads(self.request.body)["parameters"]
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"result": {"parameters": parameters}}))


async def main() -> None:
    """Serve on the port of the command line."""
    logging.getLogger("tornado.access").disabled = True
    tornado.web.Application([(r"/.*", Call)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
