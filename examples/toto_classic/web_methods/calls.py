import startup


def invoke(handler, parameters):
    with startup.lock:
        return {
            "started": [list(pair) for pair in startup.started],
            "finished": list(startup.finished),
        }
