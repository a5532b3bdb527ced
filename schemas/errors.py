"""The error tree: everything Firstline raises on purpose descends from `FirstlineError`."""


class FirstlineError(Exception):
    """Anything that Firstline raises on purpose."""


class UserError(FirstlineError):
    """Input that a person can mend: the message says what was expected, what came and how to mend it.

    The command line prints it without a traceback and exits with 2.
    """


class OverQuotaError(UserError):
    """A tenant has as much at work as it may: what is refused now may be taken later."""


class InfrastructureError(FirstlineError):
    """Redis, the database or a provider cannot be reached or misbehaves; trying again later may help."""
