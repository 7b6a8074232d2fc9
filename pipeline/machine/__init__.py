"""How work runs on a machine: threads, processes, locks, folders that survive a kill.

In: work that others describe. Out: the same work done, in order, once. Never: a value of the result. Any number of workers and
any interruption gives the same bytes, so no stage depends on this room.
"""
