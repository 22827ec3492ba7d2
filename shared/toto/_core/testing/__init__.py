"""What ``toto.testing`` is made of, as far as it needs no worker in this process."""
