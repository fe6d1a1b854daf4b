from harness import hookimpl


@hookimpl
def harness_run_started(run, colour):
    pass
