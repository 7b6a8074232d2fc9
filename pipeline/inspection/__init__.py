"""What lies in a folder of one's own, said before a run.

In: a folder or archive, the parameters of an experiment. Out: lines for a person, all that is wrong, a proposal of
`classes.yaml`. Never: a file in the folder unless somebody asks for it, a result that any stage reads.
"""
