"""Which unlabeled images are worth a label next.

In: a round's confidences, its selection, the lists of labeled and unlabeled images. Out: unlabeled images in order, each with a
score and its reason in words, as a table. Never: a network, an image, a label of an unlabeled image.
"""
