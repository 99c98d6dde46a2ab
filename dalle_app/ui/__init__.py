"""The web page, in Gradio: one module a tab, words, markup and theme apart.

Knows the studio, and no engine's insides.
"""
