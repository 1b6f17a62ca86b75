"""A miniature of the host's modules, written from the facts of its interface.

What has no counterpart in the host is private (a leading underscore) or lives in the package `mini`.
An unknown name raises AttributeError here: nothing is mocked.
"""
