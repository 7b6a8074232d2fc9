"""What a round's pseudo labels are like and, where true labels exist, how right: the one place that judges them.

In: counts of confidences, a selection, predictions, pseudo labels, true labels. Out: `statistics.json`: coverage, class
distributions and their divergences, accuracy, precision and recall, confidence histograms, ties, accuracy by size of the object
region, classes by frequency and size. Never: a threshold, a network, anything that a later round reads.
"""
