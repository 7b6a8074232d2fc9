"""Labels out to annotation tools, and what people made of them back as labeled images.

In: pseudo labels or predictions, the lists of an experiment; exports of CVAT, Label Studio and COCO. Out: files that these tools
take; label files and lists of a next experiment. Never: a network, a result that any stage reads, a file of a finished run.
"""
