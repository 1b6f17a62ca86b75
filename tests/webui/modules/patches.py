from collections import defaultdict

originals = defaultdict(dict)


def patch(key, obj, field, replacement):
    """Replaces obj.field, once per key, and hands back what was there."""
    if original(key, obj, field) is not None:
        raise RuntimeError(f"{key} has replaced {field} before")
    before = originals[key][obj, field] = getattr(obj, field)
    setattr(obj, field, replacement)
    return before


def undo(key, obj, field):
    before = originals[key].pop((obj, field), None)
    if before is None:
        raise RuntimeError(f"{key} has not replaced {field}")
    setattr(obj, field, before)


def original(key, obj, field):
    return originals[key].get((obj, field))
