"""This module draws what the segmenter is to say of a patch, from the boxes that lie on it.

Centres are drawn as Gaussian spots and learnt with the focal loss of CenterNet
(Zhou et al. 2019, arXiv:1904.07850).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Standard deviation of a centre spot, as a share of the box's sides.
SPOT = 0.12


def draw_targets(boxes: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Draw targets (5, P, P): mask, centre, log width, log height, and where the sizes count.

    Args:
        boxes: (M, 4) as x, y, width, height in pixels of the patch; they may reach over its edge.
        side: P.
    """
    targets = np.zeros((5, side, side), np.float32)
    mask, centre, log_width, log_height, near_centre = targets
    rows = np.arange(side, dtype=np.float32)
    for x, y, width, height in boxes:
        top, left = max(0, round(y)), max(0, round(x))
        bottom, right = round(y + height), round(x + width)
        if bottom <= top or right <= left or top >= side or left >= side:
            continue  # it lies beyond the patch, or has become too small to be seen in it
        mask[top:bottom, left:right] = 1
        middle_y, middle_x = y + height / 2, x + width / 2
        spot = np.exp(
            -(((rows[top:bottom, None] + 0.5 - middle_y) / (SPOT * height)) ** 2) / 2
            - (((rows[None, left:right] + 0.5 - middle_x) / (SPOT * width)) ** 2) / 2
        )
        if 0 <= middle_y < side and 0 <= middle_x < side:
            # Exactly one pixel is the peak, wherever the centre lies between pixels.
            spot[int(middle_y) - top, int(middle_x) - left] = 1
        area = (slice(top, bottom), slice(left, right))
        wins = spot > np.maximum(centre[area], 0.3)
        log_width[area][wins] = np.log(width)
        log_height[area][wins] = np.log(height)
        near_centre[area][wins] = 1
        np.maximum(centre[area], spot, out=centre[area])
    return targets
