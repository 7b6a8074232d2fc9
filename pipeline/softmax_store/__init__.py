"""The softmax maps of one round, on disk; the only room that knows Zarr. FORMAT.md describes the files.

In: probabilities, image by image. Out: predictions, confidences, their counts, and the probabilities again; each image at its
own size. Never: a network, a threshold, an image read a second time to solve for another labeling ratio.
"""
