"""Our keys in the infotext of a job, true from its first picture on.

The hash of a file that was never hashed is not known when a job is declared. The webui computes it when it loads the
file (``load_model_weights``, 1.6.0 to 1.10.1), so after each swap the keys are written anew; nothing is read twice.
"""

from __future__ import annotations

import weakref
from typing import Any

from lib_multipass.plan.roles import Roles
from lib_multipass.state import Part


class Keys(Part):
    """Our keys on the running job."""

    def __init__(self, p: Any, roles: Roles) -> None:
        self._owner, self._roles = weakref.ref(p), roles

    def begin(self) -> None:
        """Write them."""
        self.swapped()

    def swapped(self) -> None:
        """Note a swap within the job: a title may have got its hash."""
        p = self._owner()
        if p is not None:
            # Replaced, not changed: copies of the job share the dict.
            p.extra_generation_params = {**p.extra_generation_params, **self._roles.infotext}
