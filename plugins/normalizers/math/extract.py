from __future__ import annotations
def extract(text):
    return None
