"""How good a prediction, a pseudo label or a distribution is.

In: samples with true labels, something that labels a sample, counts. Out: numbers. Never: a network, a written file, a choice of
what gets reported.
"""
