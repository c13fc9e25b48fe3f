"""Libraries say in many words that memory ran short; this module knows them."""

from __future__ import annotations

OUT_OF_MEMORY = "reading the page takes more memory than there is; make the image smaller, or free memory"
_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory of the machine or of a device did not suffice.

    torch raises a RuntimeError for both, of a class of its own only for CUDA.
    """
    words = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in words for word in _WORDS)
    )
