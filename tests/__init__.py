"""
The tests of twisted-h11, one file per behaviour.
"""
