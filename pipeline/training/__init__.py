"""Training of one round: teacher and student are roles, both are trained here.

In: a network, sample lists, the `training` section. Out: the trained network and its curve, resumable at any step. Never: a
threshold, a metric on the validation set, a choice among checkpoints (the last one is promoted).
"""
