"""Methods that an application may re-export, as in ``import toto.methods.client_error``."""
