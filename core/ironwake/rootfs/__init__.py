"""Root file systems as tar: read strictly, judged before they are unpacked, written in one form."""
