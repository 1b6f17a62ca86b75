import sys
import textwrap
import traceback


def report(message: str, *, exc_info: bool = False) -> None:
    """Prints everything behind three stars."""
    text = f"{message}\n{traceback.format_exc() if exc_info else ''}"
    print(textwrap.indent(text, "*** "), file=sys.stderr, flush=True)


def display(e: Exception, task, *, full_traceback=False):
    report(f"{task}: {type(e).__name__}: {e}", exc_info=True)
