import toto.methods.client_error as client_error

__all__ = ["client_error"]
