"""Experiments beside each other: what labeling methods gain over each other, and whether that is more than noise.

In: the summaries of finished experiments, by run, round and seed. Out: rows of means, standard deviations over seeds and paired
differences with confidence intervals, as text, CSV and JSON. Never: a network, an image, a measure that no summary has.
"""
