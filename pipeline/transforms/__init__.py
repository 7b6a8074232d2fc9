"""Joint augmentation of an image and its labels.

In: one RGB image and its labels, both uint8 (true or pseudo labels, the room cannot tell), the `augmentation` section, a range of
scales, a numpy generator. Out: a normalized float32 crop and its int64 labels, pure in what comes in. Never: a file, a batch, a
teacher, student or round, torch's global generator.
"""
