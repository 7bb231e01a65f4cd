"""Objects as ``kubectl describe`` prints them: same sections, same words, same alignment.

The modules render decoded JSON with pure functions; only `memtop.describe.description_facts` asks the API.
The reference for words and order is kubectl 1.33 (k8s.io/kubectl, pkg/describe).
"""
