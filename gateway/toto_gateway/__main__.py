"""``python -m toto_gateway`` is the command ``toto-gateway``."""

from toto_gateway.cli import main

main()
