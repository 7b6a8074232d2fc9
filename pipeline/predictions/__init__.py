"""Predictions as files for people and for the servers of benchmarks.

In: an image folder, a prediction, the classes of a network. Out: label PNGs in the format that is asked for, pictures of them
over the image. Never: a network, an artifact of the experiment.
"""
