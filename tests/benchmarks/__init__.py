"""What the pixel paths cost, beside what they could cost: `make bench`.

Every figure is measured side by side with its references in one run, and reported as a ratio. References are written for this
purpose from descriptions: none is called by the product, none calls it.
"""
