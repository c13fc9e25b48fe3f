"""A few threads decode pages ahead of the device."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass

from fumikura.core.archives.deadline import ends_within
from fumikura.core.archives.images import decode
from fumikura.core.archives.places import is_unchanged, read_member
from fumikura.core.archives.urls import is_url
from fumikura.core.errors import PageError
from fumikura.core.limits import Limits
from fumikura.core.page import PageImage, stand_in_digest
from fumikura.core.store.claiming import Claim

#: Of a page's time limit, so that a server that is too slow fails the page before the limit ends the worker.
FETCH_SHARE = 0.8

_LARGE = threading.Lock()
_LARGE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class DecodedPage:
    claim: Claim
    image: PageImage
    decode_s: float


def decode_page(claimed: Claim, *, long_side: int, max_pixels: int, limits: Limits) -> DecodedPage:
    """Fetch a page from its archive and decode it.

    Raises:
        PageError: the page is gone, is no longer the one that was added, or is no image.
    """
    started_s = time.perf_counter()
    # Several large files at once could fill the memory.
    with _LARGE if claimed.size_bytes > _LARGE_BYTES else nullcontext():
        with ends_within(FETCH_SHARE * limits.patience_s):
            data = read_member(claimed.archive, claimed.member, digest=claimed.digest, limits=limits)
        if claimed.digest == stand_in_digest(claimed.archive, claimed.member):
            raise PageError(
                f"{claimed.member} in {claimed.archive} can be read by now;"
                " give the same `fumikura run` or `enqueue` again, which takes it in"
            )
        if not is_unchanged(data, claimed.archive, claimed.member, claimed.digest):
            raise PageError(
                f"{claimed.member} in {claimed.archive} is no longer the image that was added; add it again",
                is_only_here=not is_url(
                    claimed.archive
                ),  # of a copy that each machine has, this may be older
            )
        image = decode(data, long_side=long_side, max_pixels=max_pixels)
    return DecodedPage(claimed, image, time.perf_counter() - started_s)


def ahead(
    claims: Sequence[Claim],
    claim_more: Callable[[], Future[list[Claim]] | None],
    work: Callable[[Claim], DecodedPage],
    *,
    threads: ThreadPoolExecutor,
    n_ahead: int,
) -> Generator[tuple[Claim, Future[DecodedPage]]]:
    """Yield claimed pages in order, each with its decoding; at most `n_ahead` of these are begun or wait.

    Before the pages come to an end, more are asked for. What is not asked for any more is not begun.

    Args:
        claim_more: begins the next claim, or gives None if there is to be none; an empty claim is the last.
    """
    rest, begun = deque(claims), deque[tuple[Claim, Future[DecodedPage]]]()
    claiming: Future[list[Claim]] | None = None
    n_claimed, is_last = len(claims), False
    try:
        while True:
            if claiming is not None and (claiming.done() or not (rest or begun)):
                more, claiming = claiming.result(), None
                rest += more
                n_claimed, is_last = len(more), not more
            while rest and len(begun) < n_ahead:
                begun.append((rest[0], threads.submit(work, rest.popleft())))
            page = begun.popleft() if begun else None
            # Early enough that the next pages are decoded when the device wants them, and no sooner: at the
            # end of a run, what one worker holds another one cannot read.
            n_few = max(n_ahead // 2, n_claimed // 4)
            if claiming is None and not is_last and len(rest) + len(begun) <= n_few:
                claiming = claim_more()
                is_last = claiming is None
            if page is not None:
                yield page
            elif claiming is None:
                return
    finally:
        for _, decoding in begun:
            decoding.cancel()
        if claiming is not None:
            wait([claiming])  # whoever gives the pages back must not miss some
