"""How `pocket` is made, stage by stage: `python -m training.<stage>`; README.md tells the order.

The application does not know this package; it only reads what `training.export` writes.
"""

from pathlib import Path

# Where the stages read and write unless told otherwise; git ignores both.
DATA = Path(__file__).parent / "data"
RUNS = Path(__file__).parent / "runs"
