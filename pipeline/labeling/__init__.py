"""Which pixels become pseudo labels.

In: how often each class is predicted at each confidence, the class priors, a labeling ratio; then predictions and confidences,
image by image. Out: thresholds, targets and rates per class; pseudo labels. Never: a network, a softmax store, a true label.
"""
