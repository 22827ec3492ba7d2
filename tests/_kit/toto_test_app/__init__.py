"""A small application that the tests start: ``toto_test_app.methods`` is its method root.

It waits for files and writes files, because a test and a worker share nothing else.
"""
