"""The reference pages of the documentation, made from the device classes and the commands themselves.

``make docs`` writes ``docs/reference/``.
"""
