"""What a user's mistake raises, and what a user's stop does."""


class LabError(ValueError):
    """What is wrong, with the value, and what to do, in one line; the command line exits with status 2."""


class DialTypeError(LabError, TypeError):
    """A dial holds a value of another type than its own."""


class StoppedError(LabError):
    """Somebody stopped a training or the writing of summaries; started again, it goes on from there."""
