"""Calibration of the teacher's probabilities, in front of any labeling method.

In: a calibrator's name. Out: a JSON file that says what to do to the stored probabilities. `none`, the paper's own DARS, leaves
them as they are. Never: a threshold, a network's weights.
"""
