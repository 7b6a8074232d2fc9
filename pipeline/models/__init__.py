"""The networks: backbones, segmentation heads and their files.

Comes in: the `model` section of `params.yaml`, the number of classes, and batches of images (N,3,H,W), float32.
Goes out: an `nn.Module` that returns logits (N,C,H,W) at the input's size, and checkpoints (safetensors) that say how
to rebuild it.
Never here: losses, optimizers, labels, class priors, a softmax, or the roles of teacher and student; code from a file
never runs.
"""
