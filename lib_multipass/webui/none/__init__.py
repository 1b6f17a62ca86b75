"""A webui that Multipass cannot work in: jobs that want it are refused, and nothing else is touched."""
