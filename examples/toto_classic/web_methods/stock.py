def invoke(handler, parameters):
    handler.set_header("X-Stock", "17")
    if handler.headers_only:
        handler.set_header("X-Body", "spared")
        return None
    return {"stock": 17, "shelves": list(range(100))}
