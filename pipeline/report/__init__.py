"""One page about one experiment.

In: the prepared data set, what every round left on disk, the settings to print. Out: one self-contained HTML file, the same bytes
for the same inputs. Never: a network, a measure that no other room made, a choice among experiments, a link that loads something.
"""
