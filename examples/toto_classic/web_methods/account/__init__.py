import toto.methods.account.create as create
import toto.methods.account.login as login
import toto.methods.account.logout as logout
import toto.methods.account.update as update

__all__ = ["create", "login", "logout", "update"]
