"""Crayonbox: a self-hosted text-to-image page.

Importing this package loads neither torch nor gradio nor openai; the modules that need them do.
"""

__version__ = "0.1.0"
