"""Samples on disk, as every stage reads them.

In: sample lists, catalogs, priors, image and label files. Out: arrays and counts, and the same files written. Never: the layout
of a raw data set, a split, augmentation.
"""
