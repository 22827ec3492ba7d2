"""``python -m toto_worker`` is the command ``toto-worker``."""

from toto_worker.cli import main

main()
