def invoke(handler, parameters):
    request = handler.request
    return {
        "verb": request.verb,
        "uri": request.uri,
        "path": request.path,
        "agent": request.headers.get("User-Agent"),
        "remote_ip": request.remote_ip,
    }
