"""The worker command: loads a package of methods and runs calls from gateways."""
