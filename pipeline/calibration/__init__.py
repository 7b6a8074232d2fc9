"""Calibration of the teacher's probabilities, in front of any labeling method.

In: labeled images, something that predicts them, a calibrator's name. Out: a JSON file that says what to do to stored
probabilities, and how far they are from accuracies before and after. `none`, the paper's own DARS, leaves them as they are.
Never: a network, a threshold, a store.
"""
