from web_methods.chat.receive import waiting


def invoke(handler, parameters):
    return len(waiting)
