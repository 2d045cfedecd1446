"""
Mutation testing: does a test notice when the code is wrong?

C{python -m tests.mutation twisted_h11._http.chunks --sample 40 --seed 1} makes small
changes to the module, one at a time and in memory only, and runs for each, in a
process of its own, the tests of the room that the module belongs to
(L{tests.mutation.rooms}) until the first of them fails.  A mutant that all tests pass
has survived: either a test is missing, or the change makes no difference that can be
seen, and L{tests.mutation.equivalent} says why.

Libraries that do this want pytest (mutmut), or write each mutant into the tree and
know neither removed statements nor a sample by a seed (cosmic-ray).
"""

__all__: list[str] = []
