"""A trained network as one ONNX file, which runs without torch and without this project.

In: a checkpoint, the size of its images, images to compare on. Out: the bytes of a file that was run and held against torch, with
normalization inside and classes, colors and protocol as metadata. Never: resizing, flips, scales and windows, which are left to
whoever runs it; a file that differs from torch.
"""
