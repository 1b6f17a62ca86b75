"""What only the miniature has: painter networks, checkpoint files, the event recorder, a pretended device."""

old_host = False  # answer like 1.6.0: broken eviction, KeyError in stored options, no firstpass_image
arguments = []  # the command line; launch.py puts the real one here before any host module is imported
