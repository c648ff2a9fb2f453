"""The one exception that a user's mistake raises."""


class LabError(ValueError):
    """What is wrong, with the value, and what to do, in one line; the command line exits with status 2."""
