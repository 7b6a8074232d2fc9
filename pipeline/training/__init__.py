"""Training of one round: teacher and student are roles, both are trained here.

In: a network, sets of samples, the sections `training`, `pretrain` or `student`, and `augmentation`. Out: the trained network and
its curve, a record for every step, resumable at any of them. Never: a threshold, a metric on the validation set, a choice among
checkpoints (the last one is promoted).
"""
