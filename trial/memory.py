"""Out of memory: how it is recognised, and the next smaller piece of work."""

from __future__ import annotations

import torch

# CPU allocators have no type of error of their own.
SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator refused; any other error is what it says."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def smaller(micro_batch: int, error: BaseException) -> int:
    """Half of the days that were computed at once.

    Raises:
        BaseException: the error itself, where it is no lack of memory, or where one day does not fit.
    """
    if not is_out_of_memory(error) or micro_batch <= 1:
        raise error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return micro_batch // 2
