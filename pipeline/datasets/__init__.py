"""Samples on disk.

In: a folder of raw data and the `data` section. Out: lists of samples whose files were opened and checked, their catalog of
classes, images and label maps as arrays, label PNGs. Never: augmentation, networks, a guess about what a file might mean.
"""
