"""Prefix packs: beginnings of prompts, kept in files with the cells that they left in the KV cache.

A pack is good for exactly the weights, tokens and cache layout that it was made with. One that is stale or damaged is
named and passed over.
"""
