"""The webui that Multipass runs in: the door through which everything goes that has to do with it."""

from lib_multipass.webui.base import host

__all__ = ["host"]
