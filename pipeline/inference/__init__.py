"""From a network and images to per-pixel probabilities, and to what a softmax store holds of them.

In: a network, images, the `inference` section. Out: probabilities and predictions at each image's own size; a filled store.
Never: a true label, a threshold, a training step.
"""
