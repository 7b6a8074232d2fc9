"""Joint augmentation of an image and its labels, and the normalization that every network input gets.

Comes in: one uint8 RGB image, its uint8 labels (true or pseudo, the room cannot tell), the `augmentation` section of
`params.yaml`, a range of scales and a numpy generator. Goes out: a normalized float32 crop and its int64 labels. Every
function is pure in (inputs, generator). This room never opens a file, knows nothing of teachers, students or rounds,
collates no batch, and never touches torch's global generator.
"""
