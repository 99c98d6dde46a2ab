"""What an engine drew in the end, and its pixels.

Knows no engine's insides.
"""

from __future__ import annotations

import numpy as np

from dalle_app.engines import Engine
from dalle_app.request import ImageRequest, Snapshot


def last(engine: Engine, request: ImageRequest) -> Snapshot:
    """Draw to the end."""
    *_, snapshot = engine.generate(request)
    return snapshot


def pixels(snapshot: Snapshot) -> np.ndarray:
    """int [pictures, height, width, 3]."""
    return np.stack([np.asarray(image.picture, int) for image in snapshot.images])
