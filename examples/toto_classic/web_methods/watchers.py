from web_methods.watch import watching


def invoke(handler, parameters):
    return len(watching)
