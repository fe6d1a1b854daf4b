"""A benchmark of squares: all that a third party needs to write."""

from harness import Benchmark, Problem, hookimpl


class Squares(Benchmark):
    name = "squares"
    description = "What is n squared?"
    normalizer = "integer"
    source = "generated"
    parameters = {"upto": 5}

    def problems(self, data):
        for i in range(1, self.values["upto"] + 1):
            yield Problem(id=f"square-{i}", text=f"What is {i} squared?", gold=str(i * i))


@hookimpl
def harness_benchmarks():
    return [Squares()]
