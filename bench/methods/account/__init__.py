import toto.methods.account.create as create
import toto.methods.account.login as login

__all__ = ["create", "login"]
