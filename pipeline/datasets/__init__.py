"""From raw data to checked sample lists; `prepare` alone needs it.

In: a folder as a data set ships it and the `data` section. Out: its images and label files, their classes, the split, the class
priors. Never: augmentation, networks, a guess about what a file might mean.
"""
