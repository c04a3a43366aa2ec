"""One answer as a document that can be kept, read aloud and verified. Knows no HTTP.

`document` is what a report holds, `canonical` its bytes, `signing` and `verification` who vouches
for them, `html` and `pdf` how it looks. Signing and PDF need the extra `report`; they are imported
where they are used.
"""
