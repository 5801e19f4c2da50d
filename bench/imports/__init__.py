"""What other tools measured, as a `bench.result/1` that report and compare can read.

Each format is a module of its own: what of it is read, and how it becomes our numbers. A number whose definition
differs is converted where that can be done exactly, and left out, with a note, where it cannot. What is not known is
null.
"""
