"""The local family: DALL-E mini's architecture at several sizes, drawn in this process.

Importing this package loads no torch; `engine.LocalEngine` is what the rest of the program uses.
"""
