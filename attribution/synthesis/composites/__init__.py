"""Composites of which it is known what every place comes from: image, mask and identities.

`mixing`, `pasting`, `editing` and `skeletons` make them from batches, `storing` keeps their masks
beside image files. Knows no network and no loss.
"""
