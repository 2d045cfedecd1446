"""
Mutants are made, chosen, run and counted.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tests.mutation.__main__ import Runner, choose, outcome, summary
from tests.mutation.equivalent import EQUIVALENT, why_equivalent
from tests.mutation.mutants import mutants
from tests.mutation.one import Instead
from tests.mutation.rooms import NEAREST, TOP, module_path, tests_of

SOURCE = '''\
"""
A module.
"""

__all__ = ["f"]


def f(a: int = 1) -> bytes | None:
    """
    A function.
    """
    if a < 3 and a:
        raise ValueError(f"{a + 1}")
    a += 2
    while not a:
        continue
    return b"x"


def g(a: int) -> bool:
    assert a > 1
    return True
'''


class MutantsTests(SynchronousTestCase):
    """
    Which changes are made.
    """

    def test_kinds(self) -> None:
        """
        Comparisons, boolean operators, conditions, constants, operators, statements
        and what is returned are changed; docstrings, annotations, texts and assertions
        are not.
        """
        self.assertEqual(
            [str(mutant) for mutant in mutants(SOURCE)],
            [
                "8: constant: 1 -> 2",
                "12: negated: a < 3 and a -> not (a < 3 and a)",
                "12: boolean: a < 3 and a -> a < 3 or a",
                "12: comparison: a < 3 -> a <= 3",
                "12: constant: 3 -> 4",
                "13: removed: raise ValueError(f'{a + 1}') -> pass",
                "14: removed: a += 2 -> pass",
                "14: operator: a += 2 -> a -= 2",
                "14: constant: 2 -> 3",
                "15: negated: not a -> a",
                "16: removed: continue -> pass",
                "17: returned: b'x' -> None",
                "17: constant: b'x' -> b'x!'",
                "22: constant: True -> False",
            ],
        )

    def test_oneAtATime(self) -> None:
        """
        The code of a mutant has its change and no other, in whatever order they are
        asked for.
        """
        found = mutants("def f():\n    return 1\n\ndef g():\n    return 2\n")
        results = []
        for mutant in [*found, *reversed(found)]:
            names: dict[str, object] = {}
            exec(mutant.code("file"), names)
            results.append((names["f"](), names["g"]()))  # type: ignore[operator]
        expected = [(None, 2), (2, 2), (1, None), (1, 3)]
        self.assertEqual(results, [*expected, *reversed(expected)])

    def test_ours(self) -> None:
        """
        Each mutant of the package's modules can be compiled.
        """
        for path in sorted((TOP / "twisted_h11" / "_http").glob("*.py")):
            for mutant in mutants(path.read_text(encoding="utf-8"))[::20]:
                mutant.code(str(path))


class ChoosingTests(SynchronousTestCase):
    """
    Which mutants are tried, by which tests.
    """

    def test_sample(self) -> None:
        """
        A seed determines the sample; without a size all are tried.
        """
        found = mutants(SOURCE)
        self.assertEqual(choose(found, None, 1), list(range(14)))
        self.assertEqual(choose(found, 99, 1), list(range(14)))
        sample = choose(found, 5, 1)
        self.assertEqual(len(set(sample)), 5)
        self.assertEqual(sample, choose(found, 5, 1))
        self.assertNotEqual(sample, choose(found, 5, 2))

    def test_rooms(self) -> None:
        """
        The tests of a module are those of its room, each once, nearest first.
        """
        nearest, rest = tests_of("twisted_h11._http.chunks")
        self.assertEqual(nearest[0], "tests.http.test_chunks")
        tests = nearest + rest
        self.assertEqual(len(tests), len(set(tests)))
        self.assertIn("tests.client.test_heads", tests)
        (rest,) = tests_of("twisted_h11._server.rendering")
        self.assertNotIn("tests.client.test_heads", rest)
        self.assertIn("tests.server.test_methods", rest)

    def test_nearest(self) -> None:
        """
        The nearest tests are among those of the room.
        """
        for module in NEAREST:
            nearest, rest = tests_of(module)
            for name in nearest:
                self.assertTrue(
                    TOP.joinpath(*name.split(".")).with_suffix(".py").is_file(), name
                )
            self.assertFalse({*nearest} & {*rest})

    def test_noRoom(self) -> None:
        """
        A module that has no room, or is none, is refused.
        """
        for name in ("twisted_h11._server.nothing", "twisted_h11._tls.pem", "os.path"):
            self.assertRaises(ValueError, module_path, name)


class OutcomeTests(SynchronousTestCase):
    """
    What is said of them.
    """

    def test_outcome(self) -> None:
        """
        A mutant is killed if a test fails, has timed out if they did not end, and has
        survived if they pass, unless it is known to be equivalent.
        """
        self.assertEqual(outcome(1, None), "killed")
        self.assertEqual(outcome(None, None), "timed out")
        self.assertEqual(outcome(0, None), "SURVIVED")
        self.assertEqual(outcome(0, "the same"), "equivalent")
        self.assertEqual(outcome(1, "the same"), "killed")

    def test_summary(self) -> None:
        """
        They are counted.
        """
        self.assertEqual(
            summary("a.b", 9, ["killed", "killed", "SURVIVED", "equivalent"]),
            "a.b: 4 of 9 mutants: 2 killed, 0 timed out, 1 equivalent, 1 survived",
        )

    def test_equivalent(self) -> None:
        """
        Every mutant that is called equivalent is one of its module still.
        """
        for module, known in EQUIVALENT.items():
            source = module_path(module).read_text(encoding="utf-8")
            lines = source.splitlines()
            reasons = {
                why_equivalent(module, lines[mutant.line - 1], mutant)
                for mutant in mutants(source)
            }
            self.assertEqual(set(known.values()) - reasons, set(), module)


class RunnerTests(SynchronousTestCase):
    """
    Tests run on a mutant.
    """

    def test_instead(self) -> None:
        """
        A module is imported from the code of a mutant; others are not concerned.
        """
        [mutant, *_] = mutants("x = 1\n")
        finder = Instead("a.b", Path("b.py"), mutant.code("b.py"))
        self.assertIs(finder.find_spec("a", None), None)
        spec = finder.find_spec("a.b", None)
        assert spec is not None
        module = ModuleType("a.b")
        finder.exec_module(module)
        self.assertEqual(module.x, 2)

    def test_run(self) -> None:
        """
        The tests of a module pass as it is, fail with a mutant that they notice, and
        have not ended when their time is up.
        """
        groups = [["tests.http.test_negotiation"], ["tests.http.test_lists"]]
        runner = Runner("twisted_h11._http.lists", groups, [60, 60])
        self.assertTrue(runner.check(adapt=True))
        self.assertNotIn(60, runner.limits)
        self.assertEqual(runner.run(0), 1)
        runner.groups.pop()
        runner.limits.pop()
        self.assertEqual(runner.run(0), 0)
        runner.limits = [0.01]
        self.assertIs(runner.run(0), None)
        self.assertFalse(runner.check(adapt=False))
