"""What runs around the pipeline: settings as files, and experiments that DVC keeps.

In: a setting's name, the user's overrides, git and DVC. Out: overrides for `dvc exp run`, parameters and metrics of finished
experiments. Never: a stage's own work.
"""
