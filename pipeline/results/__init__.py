"""What came of an experiment, in the few figures by which experiments are compared and in tables to plot.

In: what every round left on disk. Out: `summary.json`, tables of tab-separated values. Never: a measure that no other room took
(differences of two rounds apart), a picture, a comparison of experiments.
"""
