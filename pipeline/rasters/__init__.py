"""Images of any size: files of which windows are read, label maps that are written a part at a time.

In: an image file, a network and its protocol, parts of a label map. Out: windows of pixels and where they hold data, predictions
block by block, PNG and GeoTIFF files. Never: a whole image in memory where its format allows less; another result than that of
`pipeline/inference` for the same windows; a file that is half there.
"""
