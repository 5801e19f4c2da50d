"""Two sides, each of one or more results: did anything get better or worse, and may the change pass a gate?"""
