"""The embedded data set: procedural street scenes. `scene` composes one, `files` writes the set to disk."""
