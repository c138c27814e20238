"""The limit of the batch transport: the records are handed over and counted, nobody looks inside."""

from benchmarks.same_task.batch_app import run
from benchmarks.same_task.child import Clock, Job, given_job, tell_and_end
from streams.transport import Poll


def main(job: Job) -> None:
    """Count records until all are there."""
    clock = Clock()

    def count(poll: Poll) -> None:
        if clock.count(len(poll.records)) == job.positions:
            tell_and_end(clock, lambda: str(clock.positions))

    run(job, count)


if __name__ == "__main__":
    main(given_job())
