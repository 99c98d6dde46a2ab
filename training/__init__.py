"""How `pocket` is made, stage by stage: `python -m training.<stage>`; README.md tells the order.

The application does not know this package; it only reads what `training.export` writes.
"""
