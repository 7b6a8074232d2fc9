"""The folder that DVC works in: what killed runs left in it, and what of it a kill has torn.

In: the folder, its `.dvc` and its git repository. Out: the folder as the next `dvc repro` needs it, and a line for each thing
done. Never: touches what a running process holds, or a file of a person that can be read.
"""
