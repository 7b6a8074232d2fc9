"""What `make torture` does to a tiny experiment: kills, damage, hostile raw data, faults of the machine, races.

One promise is tested: whatever happens, a run ends with the bytes of an undisturbed one or with one line that says what is wrong.
"""
