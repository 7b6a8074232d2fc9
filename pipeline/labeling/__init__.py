"""Which pixels become pseudo labels.

In: a round's confidence store, the class shares to align with, a labeling ratio. Out: a selection (thresholds, targets and rates
per class), and the pseudo labels that it draws. Never: a network, a softmax map, a true label.
"""
