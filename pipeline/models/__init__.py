"""The networks: backbones, segmentation heads and their files.

In: the `model` section of `params.yaml`, the number of classes, images (H,W,3) uint8. Out: their normalization, an `nn.Module`
that turns batches (N,3,H,W) into a `SegmentationOutput`, checkpoints (safetensors) that say how to rebuild it. Never: a loss, an
optimizer, labels, a softmax, the roles of teacher and student; code from a file never runs.
"""
