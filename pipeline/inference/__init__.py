"""From a network and images to per-pixel probabilities.

In: a network, an image, the `inference` section. Out: probabilities at the image's own size. Never: a label, a threshold, a file.
"""
