"""Statistics of a round's pseudo labels, for the figures of the report and for whoever compares labeling methods.

In: counts of confidences, a selection, predictions, pseudo labels and, where there are any, true labels. Out: `statistics.json`:
class distributions, confidence histograms, ties, accuracy by size of the object region, classes by frequency and size. Never: a
threshold, a network, anything that a later stage of the experiment reads.
"""
