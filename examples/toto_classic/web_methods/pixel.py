from base64 import b64decode

from toto.invocation import raw_response

GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@raw_response
def invoke(handler, parameters):
    handler.response_type = "image/gif"
    return GIF
