"""Methods for accounts, to be re-exported one by one: ``import toto.methods.account.login``."""
