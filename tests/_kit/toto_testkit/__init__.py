"""What tests share: commands as processes, a small HTTP client, ports, waiting, leak checks.

Import from the modules: ``from toto_testkit.cluster import Cluster``.
"""
