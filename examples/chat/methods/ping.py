"""Tell a page that its connection still works, which a browser does not say by itself."""


async def invoke(handler, parameters):
    return "pong"
