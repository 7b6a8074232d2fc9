"""How good a segmentation is, and how far confidences are from accuracies.

In: samples with true labels, predictions of them, probabilities. Out: confusion matrices and the measures that follow from them,
`metrics.json`, the first predictions as pictures. Never: a network, a pseudo label, a choice of what gets reported.
"""
