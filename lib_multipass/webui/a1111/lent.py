"""A tensor that lends its memory to the parameter that it is copied into, so that nothing is copied.

``torch.nn.Module.load_state_dict`` copies what it is given into the module's parameters (torch 2.0 to 2.14; its
``assign``, which would not, is the caller's to ask for).
"""

from __future__ import annotations

from typing import Any

import torch


class Lent(torch.Tensor):
    """A weight in RAM that nobody else needs: the first parameter of its like that it is copied into has its memory."""

    is_spent = False
    """Whether somebody has its memory already."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls in the place of any of its functions, see *Extending PyTorch* in its documentation."""
        with torch._C.DisableTorchFunctionSubclass():
            if function is torch.Tensor.copy_ and len(args) > 1 and _can_take(*args[:2]):
                args[0].data, args[1].is_spent = args[1].as_subclass(torch.Tensor), True
                return args[0]
            result = function(*args, **(kwargs or {}))
            if function is not torch.Tensor.detach:
                return result
            # A parameter can be made of a tensor of a kind of its own only if that stays so (``torch.nn.Parameter``).
            args[0].is_spent, result = True, result.as_subclass(cls)
            result.is_spent = True
            return result

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        """An ordinary tensor; torch refuses to copy one of a kind of its own."""
        return self.as_subclass(torch.Tensor).clone()


def _can_take(parameter: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a parameter is to the letter like a weight, which nobody has taken, and has its memory for itself."""
    if not (isinstance(parameter, torch.nn.Parameter) and isinstance(weight, Lent)) or weight.is_spent:
        return False
    features = ("device", "layout", "dtype", "shape")  # before anything is asked that not every device can tell
    if any(getattr(parameter, name) != getattr(weight, name) for name in features):
        return False
    if parameter.is_inference() != weight.is_inference() or not (parameter.is_contiguous() and weight.is_contiguous()):
        return False
    return parameter.untyped_storage().nbytes() == parameter.numel() * parameter.element_size()
