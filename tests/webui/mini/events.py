"""A record of what happens to checkpoints, so that a test reads as a story.

Verbs: "read" (disk), "build" (new instance), "load" (weights into an instance), "activate" (already loaded),
"to cpu", "to device", "trash" (the tensors are gone), "vae" (VAE weights swapped; the name is the file's). With a
pretended device, every change of place once, whoever moves, and "no room" where a move or a computation did not fit.
"""

story = []


def record(verb, name):
    story.append((verb, name))


def clear():
    story.clear()
