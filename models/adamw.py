"""AdamW that does not import torch's compiler. Knows no network and no loss.

Making and stepping an optimizer imports `torch._dynamo`, only to tell it to keep out: 900 modules,
three seconds of each process that learns anything. Nothing here is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import torch

_Method = TypeVar("_Method", bound=Callable[..., object])


def _plain(method: _Method) -> _Method:
    """What torch has wrapped; the method itself where a version does not."""
    return cast("_Method", getattr(method, "__wrapped__", method))


class AdamW(torch.optim.AdamW):
    """Loshchilov and Hutter, 2019; steps and states are those of `torch.optim.AdamW`."""

    add_param_group = _plain(torch.optim.AdamW.add_param_group)
    state_dict = _plain(torch.optim.AdamW.state_dict)
    load_state_dict = _plain(torch.optim.AdamW.load_state_dict)
    zero_grad = _plain(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(_plain(torch.optim.AdamW.step))
