"""A sampler of a stranger: its chains take time but no processor, and their text follows from the seed alone."""

import os
import socket
import time
from contextlib import contextmanager
from pathlib import Path

from harness import Engine, Fit, HarnessError, Sampler, hookimpl


class SleepyEngine(Engine):
    """Up to `max_in_flight` chains sleep at the same time; each takes between one and two times `seconds`."""

    def __init__(self, options, folder):
        self.lazy = options.get("lazy", "yes") == "yes"
        self._options = options
        self._seconds = float(options.get("seconds", "0.01"))
        self._max = int(options.get("max_in_flight", "4"))
        self._folder = folder
        self._dropped = set()
        self._done = 0

    @property
    def info(self):
        return {"engine": "sleepy", "max_in_flight": self._max, "context": 1000}

    @property
    def usage(self):
        return {"prompt_tokens": 5 * self._done, "completion_tokens": 7 * self._done}

    @property
    def warnings(self):
        return ["these chains were dreamt"]

    def drop(self, keys):
        self._dropped.update(keys)

    def sample(self, requests):
        source, flights = iter(requests), {}
        while True:
            while len(flights) < self._max:
                request = next(source, None)
                if request is None:
                    break
                self._misbehave(request)
                self._write("begun", request.key)
                flights[request] = time.monotonic() + self._seconds * (1 + request.seed % 100 / 100)
            flights = {request: end for request, end in flights.items() if request.key not in self._dropped}
            if not flights:
                return
            first = min(flights, key=flights.get)
            time.sleep(min(0.05, max(0.0, flights[first] - time.monotonic())))
            if flights[first] <= time.monotonic():
                del flights[first]
                self._done += 1
                self._write("done", first.key)
                yield first.chain(f"I dreamt of \\boxed{{{first.seed % 7}}}.", completion_tokens=7)

    def _misbehave(self, request):
        if self._options.get("fail_on") == request.key.problem_id:
            raise HarnessError(f"the prompt of problem {request.key.problem_id} is too long to dream of")
        if self._options.get("die_on") == request.key.problem_id:
            os._exit(1)

    def _write(self, what, key):
        """So that a test can see which process did what."""
        if self._folder:
            with (self._folder / f"{what}-{os.getpid()}").open("a") as file:
                file.write(f"{key.problem_id} {key.index} {time.time()}\n")


class Sleepy(Sampler):
    name = "sleepy"
    needs_weights = False
    runs_here = True
    options = dict.fromkeys(
        ["seconds", "max_in_flight", "lazy", "fail_on", "die_on", "folder", "broken", "opening"], ""
    )

    def fit(self, model):
        return Fit(0, "it sleeps")

    def identity(self, options):
        return {"sampler": self.name}

    def default_model(self, options):
        return "sleeper"

    @contextmanager
    def open(self, model, settings, options):
        folder = Path(options["folder"]) if "folder" in options else None
        if folder:
            (folder / f"opened-{os.getpid()}").write_text(socket.gethostname())
        if options.get("broken") == "all":
            raise HarnessError("this model gives nightmares: take another")
        if options.get("broken") == "first":
            try:
                (folder / "broken").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                raise HarnessError("this model gives nightmares: take another")
        time.sleep(float(options.get("opening", "0")))
        yield SleepyEngine(options, folder)
        if folder:
            (folder / f"closed-{os.getpid()}").touch()


@hookimpl
def harness_samplers():
    return [Sleepy()]
